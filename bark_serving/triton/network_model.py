"""The Triton model of a network without state: fine, encodec_decode, encodec_encode, hubert."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from bark_serving.arrays import Array
from bark_serving.errors import InvalidRequest
from bark_serving.layouts.decoder import least_frames
from bark_serving.profiles import Stage
from bark_serving.runtimes.factory import open_network
from bark_serving.spec import Spec
from bark_serving.triton.parameters import Parameters
from bark_serving.triton.tensors import failure, inputs_of, response
from bark_serving.voices.limits import MAX_CLIP_S

log = logging.getLogger(__name__)


class NetworkModel:
    """Runs requests of equal shapes and outputs as one batch."""

    def initialize(self, args: Mapping[str, str]) -> None:
        parameters = Parameters(args)
        stage, runtime = cast(Stage, parameters.model), parameters.runtime()
        on_gpu = args["model_instance_kind"] == "GPU"
        device = f"cuda:{args['model_instance_device_id']}" if on_gpu else "cpu"
        self._check, self._spec = _CHECKS[stage], runtime.bundle.spec
        self._network = open_network(stage, runtime, device=device)

    def execute(self, requests: list[Any]) -> list[Any]:
        answers: list[Any] = [None] * len(requests)
        groups: dict[Any, list[int]] = defaultdict(list)
        inputs = [inputs_of(request) for request in requests]
        for index, request in enumerate(requests):
            try:
                self._check(inputs[index], self._spec)
            except InvalidRequest as error:  # refuses this request, not the others
                answers[index] = failure(error)
                continue
            shapes = tuple((name, array.shape[1:]) for name, array in sorted(inputs[index].items()))
            groups[shapes, tuple(request.requested_output_names())].append(index)
        for (_, outputs), members in groups.items():
            for index, answer in zip(members, self._batch([inputs[i] for i in members], outputs), strict=True):
                answers[index] = answer
        return answers

    def _batch(self, inputs: list[dict[str, Array]], outputs: tuple[str, ...]) -> list[Any]:
        try:
            joined = {name: np.concatenate([one[name] for one in inputs]) for name in inputs[0]}
            results = self._network(joined, list(outputs))
        except Exception as error:
            log.exception("a batch failed")
            return [failure(error) for _ in inputs]
        ends = np.cumsum([len(next(iter(one.values()))) for one in inputs])
        return [
            response({name: result[end - size : end] for name, result in results.items()})
            for end, size in zip(ends, np.diff(ends, prepend=0), strict=True)
        ]


def _check_fine(inputs: Mapping[str, Array], spec: Spec) -> None:
    _check_range("codes", inputs["codes"], 0, spec.fine.gpt.input_vocab)
    frames, limit = inputs["codes"].shape[-1], spec.fine.window
    if frames > limit:
        raise InvalidRequest(f"codes has {frames} frames; send a window of at most {limit}.")
    _check_range("codebook", inputs["codebook"], spec.fine.codebooks_given, spec.encodec.codebooks)


def _check_codes(inputs: Mapping[str, Array], spec: Spec) -> None:
    _check_range("codes", inputs["codes"], 0, spec.encodec.codebook_size)
    _check_length("codes", inputs["codes"], spec.encodec.frame_rate_hz)
    if "state" in inputs and (frames := inputs["codes"].shape[-1]) < least_frames(spec.encodec):
        raise InvalidRequest(f"codes has {frames} frames; with a state, send at least {least_frames(spec.encodec)}.")


def _check_audio(inputs: Mapping[str, Array], spec: Spec) -> None:
    _check_length("audio", inputs["audio"], spec.encodec.sample_rate)


def _check_wave(inputs: Mapping[str, Array], spec: Spec) -> None:
    _check_length("audio", inputs["audio"], spec.hubert.sample_rate if spec.hubert else spec.encodec.sample_rate)


def _check_range(name: str, array: Array, first: int, end: int) -> None:
    if array.size == 0 or array.min() < first or array.max() >= end:
        content = f"{array.min()}..{array.max()}" if array.size else "nothing"
        raise InvalidRequest(f"{name} holds {content}; send what is in {first}..{end - 1}.")


def _check_length(name: str, array: Array, rate: float) -> None:
    """Memory grows with the length. A second is left for padding."""
    seconds = array.shape[-1] / rate
    if seconds > MAX_CLIP_S + 1:
        raise InvalidRequest(f"{name} is {seconds:.0f} s long; send at most {MAX_CLIP_S:g} s.")


#: The check of each stage's inputs. It raises `InvalidRequest`.
_CHECKS: Mapping[Stage, Callable[[Mapping[str, Array], Spec], None]] = {
    "fine": _check_fine,
    "encodec_decode": _check_codes,
    "encodec_encode": _check_audio,
    "hubert": _check_wave,
}
