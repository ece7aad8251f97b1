"""A recording's own tokens, and the stages that speak them again."""

from __future__ import annotations

import numpy as np
import pytest

from bark_serving.arrays import Array
from bark_serving.bundle import Bundle
from bark_serving.spec import Spec
from benchmarks.listen.limits import LAST_STAGES, spoken_from, tokens_of
from reference.recordings import Clip

FRAMES = 150


class Stages:
    """A `Caller` with given tokens of every recording. It keeps what each model was sent."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        random = np.random.default_rng(0)
        self.codes = random.integers(0, spec.encodec.codebook_size, (1, spec.encodec.codebooks, FRAMES), np.int32)
        self.tokens = random.integers(0, spec.semantic.vocab, (1, FRAMES * 2 // 3 - 1), np.int32)
        self.sent: dict[str, list[dict[str, Array]]] = {}

    async def call(
        self, model: str, inputs: dict[str, Array], outputs: list[str], *, request_id: str = ""
    ) -> dict[str, Array]:
        self.sent.setdefault(model, []).append(inputs)
        match model:
            case "encodec_encode":
                return {"codes": self.codes}
            case "hubert":
                return {"tokens": self.tokens}
            case "coarse":
                count = int(inputs["request_output_len"].item())
                ids = np.tile(
                    [self.spec.coarse.offset, self.spec.coarse.offset + self.spec.encodec.codebook_size], count
                )
                return {
                    "output_ids": ids[:count].astype(np.int32).reshape(1, 1, -1),
                    "sequence_length": np.array([[count]], np.int32),
                }
            case "fine":
                return {"predictions": np.zeros((1, inputs["codes"].shape[-1]), np.int32)}
        samples = inputs["codes"].shape[-1] * self.spec.encodec.samples_per_frame
        return {"audio": np.ones((1, samples), np.float32)}

    def post(self, model: str, inputs: dict[str, Array], outputs: list[str], *, request_id: str) -> None:
        raise AssertionError("nothing is cancelled")


@pytest.fixture
def stages(tiny_bundle: Bundle) -> Stages:
    return Stages(tiny_bundle.spec)


def again(stage: str, stages: Stages, bundle: Bundle) -> Clip:
    rate = stages.spec.encodec.sample_rate
    clip = Clip("A sentence.", np.zeros(FRAMES * stages.spec.encodec.samples_per_frame, np.float32), rate)
    tokens = tokens_of({"someone": [clip]}, stages, stages.spec)
    [[spoken]] = spoken_from(stage, tokens, stages, bundle).values()
    return spoken


@pytest.mark.parametrize("stage", LAST_STAGES)
def test_only_the_stages_that_follow_run_and_the_whole_recording_is_spoken(
    stage: str, stages: Stages, tiny_bundle: Bundle
) -> None:
    spoken = again(stage, stages, tiny_bundle)
    assert set(stages.sent) == {"encodec_encode", "hubert", *LAST_STAGES[stage]}
    assert len(spoken.samples) == FRAMES * stages.spec.encodec.samples_per_frame


def test_fine_reads_the_recordings_coarse_tokens(stages: Stages, tiny_bundle: Bundle) -> None:
    again("coarse", stages, tiny_bundle)
    books = stages.spec.coarse.codebooks
    np.testing.assert_array_equal(stages.sent["fine"][0]["codes"][0, :books, :FRAMES], stages.codes[0, :books])


def test_coarse_reads_the_recordings_semantic_tokens(stages: Stages, tiny_bundle: Bundle) -> None:
    again("semantic", stages, tiny_bundle)
    prompt = stages.sent["coarse"][0]["input_ids"].reshape(-1)
    np.testing.assert_array_equal(prompt[:20], stages.tokens[0, :20])
