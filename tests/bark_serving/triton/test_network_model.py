"""Networks as Triton models: who shares a batch, and who is refused."""

from __future__ import annotations

import json
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bark_serving.layouts.decoder import state_shape
from bark_serving.profiles import STAGES
from bark_serving.triton.in_process import Backend
from build_engines.bundles.random_weights import random_spec

SPEC = random_spec("tiny", name="tiny", tokens=100)
BOOKS = SPEC.encodec.codebooks
Inputs = dict[str, np.ndarray]


def ask(backend: Backend, stage: str, *requests: Inputs, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """`answered`, or the error, of each request; the network answers with zeros."""

    def zeros(inputs: Inputs, outputs: list[str]) -> Inputs:
        return {name: np.zeros((len(next(iter(inputs.values()))), 1), np.float32) for name in outputs}

    from bark_serving.triton import network_model
    from bark_serving.triton.parameters import Parameters

    monkeypatch.setattr(Parameters, "runtime", lambda self: SimpleNamespace(bundle=SimpleNamespace(spec=SPEC)))
    monkeypatch.setattr(network_model, "open_network", lambda *_, **__: zeros)
    model = network_model.NetworkModel()
    model.initialize({"model_config": json.dumps({"name": stage}), "model_instance_kind": "CPU"})

    def request(inputs: Inputs) -> Any:
        tensors = [
            SimpleNamespace(name=partial(str, name), as_numpy=partial(np.asarray, a)) for name, a in inputs.items()
        ]
        return SimpleNamespace(inputs=lambda: tensors, requested_output_names=lambda: ["y"])

    answers = model.execute([request(inputs) for inputs in requests])
    return [answer.error().message() if answer.has_error() else "answered" for answer in answers]


def codes(value: int = 0, *, frames: int = 5) -> Inputs:
    return {"codes": np.full((1, BOOKS, frames), value, np.int32)}


def fine(*, code: int = 0, codebook: int = 2, window: int = SPEC.fine.window) -> Inputs:
    return {
        **codes(code, frames=window),
        "codebook": np.array([[codebook]], np.int32),
        "temperature": np.ones((1, 1), np.float32),
        "uniforms": np.zeros((1, window), np.float32),
    }


def samples(seconds: float, rate: int) -> Inputs:
    return {"audio": np.zeros((1, int(seconds * rate)), np.float32)}


STATE = {"state": np.zeros((1, *state_shape(SPEC.encodec)), np.float32)}


@pytest.mark.parametrize(
    ("stage", "good", "bad", "reason"),
    [
        ("encodec_decode", codes(), codes(SPEC.encodec.codebook_size), "codes holds"),
        ("encodec_decode", codes(), codes(-1), "codes holds"),
        ("encodec_decode", codes(), codes(frames=10_000), "send at most 30 s"),
        ("encodec_decode", codes(frames=9) | STATE, codes(frames=8) | STATE, "with a state, send at least 9"),
        ("fine", fine(code=SPEC.fine.pad_token), fine(code=SPEC.fine.gpt.input_vocab), "codes holds"),
        ("fine", fine(), fine(codebook=BOOKS), "codebook holds"),
        ("fine", fine(), fine(codebook=0), "codebook holds"),
        ("fine", fine(), fine(window=SPEC.fine.window + 1), f"send a window of at most {SPEC.fine.window}"),
        (
            "encodec_encode",
            samples(30, 24_000),
            samples(40, 24_000),
            "is 40 s long",
        ),
        ("hubert", samples(30, 16_000), samples(40, 16_000), "is 40 s long"),
    ],
)
def test_a_bad_request_fails_by_itself_and_not_those_beside_it(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, stage: str, good: Inputs, bad: Inputs, reason: str
) -> None:
    first, refused, last = ask(backend, stage, good, bad, good, monkeypatch=monkeypatch)
    assert (first, last) == ("answered", "answered")
    assert "[INVALID_ARGUMENT]" in refused and reason in refused


def test_requests_of_different_lengths_are_answered_in_their_order(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = ask(backend, "encodec_decode", codes(frames=7), codes(frames=9), codes(frames=7), monkeypatch=monkeypatch)
    assert answers == ["answered"] * 3


def test_every_network_has_its_check(backend: Backend) -> None:
    from bark_serving.triton.network_model import _CHECKS

    assert set(_CHECKS) == set(STAGES) - {"semantic", "coarse"}
