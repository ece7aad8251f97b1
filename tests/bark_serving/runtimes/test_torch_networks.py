"""The torch networks: the modules' outputs in fp32, and what half precision costs."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch

from bark_serving.bundle import Bundle
from bark_serving.layouts.decoder import state_shape
from bark_serving.networks import Encodec, Fine, Hubert, load
from bark_serving.profiles import TABLE, Precision, Stage
from bark_serving.runtimes.torch_networks import OPEN, TorchNetwork
from tests.bundles import random_bundle, small_spec


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("torch") / "bundle"
    return random_bundle(folder, small_spec(), networks=["fine", "encodec", "hubert"])


def run(bundle: Bundle, stage: Stage, precision: Precision, inputs: dict[str, Any], output: str) -> np.ndarray:
    network = TorchNetwork(stage, bundle, device=torch.device("cpu"), precision=precision)
    return np.asarray(network(inputs, [output])[output])


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=0.3, size=shape).astype(np.float32)


def fine_inputs(bundle: Bundle, *, temperature: float = 0.5) -> dict[str, Any]:
    generator = np.random.default_rng(1)
    return {
        "codes": generator.integers(0, 1024, (2, 8, bundle.spec.fine.window)).astype(np.int32),
        "codebook": np.array([[3], [6]], np.int32),
        "temperature": np.array([[temperature], [0.0]], np.float32),
        "uniforms": generator.random((2, bundle.spec.fine.window), np.float32),
    }


def test_every_stateless_stage_has_a_network() -> None:
    assert set(OPEN) == set(TABLE["torch"].stages) - {"semantic", "coarse"}


def test_fp32_outputs_are_the_networks(bundle: Bundle) -> None:
    inputs = fine_inputs(bundle)
    tensors = [torch.from_numpy(array) for array in inputs.values()]
    codec, codes, audio = cast(Encodec, load("encodec", bundle)), inputs["codes"][:, :, :50], random(2, 320 * 9)
    cases: list[tuple[Stage, dict[str, Any], str, torch.Tensor]] = [
        ("fine", inputs, "predictions", cast(Fine, load("fine", bundle))(*tensors)[0]),
        ("encodec_decode", {"codes": codes}, "audio", codec.decode(torch.from_numpy(codes))),
        ("encodec_encode", {"audio": audio}, "codes", codec.encode(torch.from_numpy(audio))),
        ("hubert", {"audio": audio}, "tokens", cast(Hubert, load("hubert", bundle))(torch.from_numpy(audio))),
    ]
    for stage, arrays, output, expected in cases:
        actual = run(bundle, stage, "fp32", arrays, output)
        np.testing.assert_allclose(actual, expected.numpy(), atol=1e-5 if output == "audio" else 0, err_msg=stage)
        assert actual.dtype == (np.float32 if output == "audio" else np.int32)


def test_the_decoder_goes_on_from_a_state(bundle: Bundle) -> None:
    codec, codes = cast(Encodec, load("encodec", bundle)), fine_inputs(bundle)["codes"][:, :, :50]
    inputs = {"codes": codes, "state": random(2, *state_shape(codec.spec))}
    expected = codec.decode_chunk(*(torch.from_numpy(array) for array in inputs.values()))
    for name, tensor in zip(("audio", "next_state"), expected, strict=True):
        np.testing.assert_allclose(run(bundle, "encodec_decode", "fp32", inputs, name), tensor.numpy(), atol=1e-5)


def test_a_row_gives_the_same_alone_and_in_a_batch(bundle: Bundle) -> None:
    inputs = fine_inputs(bundle)
    together = run(bundle, "fine", "bf16", inputs, "logits")
    for row in range(2):
        alone = run(bundle, "fine", "bf16", {name: array[row : row + 1] for name, array in inputs.items()}, "logits")
        np.testing.assert_array_equal(alone[0], together[row])


@pytest.mark.parametrize(("precision", "min_share"), [("fp16", 0.97), ("bf16", 0.8)])
def test_half_precision_samples_nearly_the_same_fine_codes(
    bundle: Bundle, precision: Precision, min_share: float
) -> None:
    inputs = fine_inputs(bundle)
    exact, half = (run(bundle, "fine", p, inputs, "predictions") for p in ("fp32", precision))
    assert min_share < (exact == half).mean()


def test_half_precision_audio_is_far_above_its_noise(bundle: Bundle) -> None:
    codes = fine_inputs(bundle)["codes"][:, :, :100]
    exact, half = (run(bundle, "encodec_decode", p, {"codes": codes}, "audio") for p in ("fp32", "fp16"))
    noise = 10 * np.log10(np.square(exact).mean() / np.square(exact - half).mean())
    assert noise > 45, f"{noise:.0f} dB"


def test_half_precision_hubert_hears_nearly_the_same_tokens(bundle: Bundle) -> None:
    audio = random(2, 16_000)
    exact, half = (run(bundle, "hubert", p, {"audio": audio}, "tokens") for p in ("fp32", "fp16"))
    assert (exact == half).mean() > 0.9
