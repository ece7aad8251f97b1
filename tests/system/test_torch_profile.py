"""The torch profile through the real Triton, on the CPU: what the cpu profile says, in fp32."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as grpcclient

from bark_client import BarkClient, Speech
from tests.system.conftest import RealServer
from tests.system.test_speech import GREEDY, TEXT, tokens_of

pytestmark = pytest.mark.slow  # one more Triton, with torch in each stage; tests of the runtimes compare in process


@pytest.fixture
def cpu(triton: RealServer) -> Iterator[BarkClient]:
    with BarkClient(triton.url, timeout=300) as client:
        yield client


@pytest.fixture
def torch(triton_torch: RealServer) -> Iterator[BarkClient]:
    with BarkClient(triton_torch.url, timeout=300) as client:
        yield client


def assert_equal(one: Speech, other: Speech) -> None:
    for ours, theirs in zip(tokens_of(one), tokens_of(other), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(one.samples, other.samples, atol=1e-5)


@pytest.mark.parametrize("voice", [None, "v2/en_speaker_6"])
def test_its_greedy_tokens_are_the_cpu_profiles(cpu: BarkClient, torch: BarkClient, voice: str | None) -> None:
    one, other = (bark.speak(TEXT, voice=voice, max_duration=4, return_tokens=True, **GREEDY) for bark in (cpu, torch))
    assert_equal(one, other)
    assert other.seconds > 1


def test_its_sampled_tokens_are_the_cpu_profiles_but_for_near_ties(cpu: BarkClient, torch: BarkClient) -> None:
    """Two libraries round differently, so a uniform falls between their two borders once in some thousand draws."""
    hows: list[dict[str, Any]] = [{"seed": seed, "top_k": 100 * (seed % 2)} for seed in range(8)]
    pairs = [[bark.speak(TEXT, max_duration=1, return_tokens=True, **how) for bark in (cpu, torch)] for how in hows]
    fine = []
    for one, other in pairs:
        ours, theirs = tokens_of(one), tokens_of(other)
        if all(map(np.array_equal, ours[:2], theirs[:2])):
            fine.append((ours[2] == theirs[2]).mean())
    assert len(fine) >= 6 and np.mean(fine) > 0.9, fine


def test_its_requests_say_the_same_alone_and_among_others(torch: BarkClient) -> None:
    def speak(seed: int) -> Speech:
        return torch.speak(f"{TEXT} Number {seed % 3}.", seed=seed, return_tokens=True, max_duration=1)

    alone = [speak(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(speak, range(4)))
    for one, other in zip(alone, together, strict=True):
        assert_equal(one, other)


def test_its_encoder_and_hubert_answer_as_the_cpu_profiles_do(triton: RealServer, triton_torch: RealServer) -> None:
    audio = np.random.default_rng(0).normal(scale=0.1, size=(1, 320 * 50)).astype(np.float32)
    for model, output in (("encodec_encode", "codes"), ("hubert", "tokens")):
        answers = []
        for server in (triton, triton_torch):
            tensor = grpcclient.InferInput("audio", audio.shape, "FP32")
            tensor.set_data_from_numpy(audio)
            with grpcclient.InferenceServerClient(server.url) as client:
                answers.append(client.infer(model, [tensor]).as_numpy(output))
        assert (answers[0] == answers[1]).mean() > 0.99  # a near tie may fall either way
