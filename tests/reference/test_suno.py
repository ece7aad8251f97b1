"""The oracle itself: Suno's code runs with a bundle's weights and spec, which are removed afterwards."""

from __future__ import annotations

import numpy as np
import pytest

from bark_serving.bundle import Bundle
from reference import suno as oracle


def test_sunos_code_speaks_with_a_bundles_weights(tiny_bundle: Bundle) -> None:
    with oracle.load(tiny_bundle) as generation:
        semantic = generation.generate_text_semantic(
            "Hello, world.", temp=oracle.GREEDY, silent=True, use_kv_caching=True, max_gen_duration_s=1
        )
        assert 0 < len(semantic) <= 51
        coarse = generation.generate_coarse(semantic[:20], temp=oracle.GREEDY, silent=True, use_kv_caching=True)
        assert coarse.shape == (2, 30)
        fine = generation.generate_fine(coarse, temp=oracle.GREEDY)
        assert fine.shape == (8, 30)
        assert np.array_equal(fine[:2], coarse)
        audio = generation.codec_decode(fine)
        assert audio.shape == (30 * 320,)
        assert np.isfinite(audio).all()


def test_the_oracle_has_the_bundles_numbers_only_inside_the_block(tiny_bundle: Bundle) -> None:
    generation = oracle.bark_generation()
    with oracle.load(tiny_bundle):
        assert tiny_bundle.spec.semantic.infer_token == generation.SEMANTIC_INFER_TOKEN
        assert tiny_bundle.spec.semantic.text_pad == generation.TEXT_PAD_TOKEN
        assert generation.models.keys() == {"text", "coarse", "fine", "codec"}
    assert generation.SEMANTIC_INFER_TOKEN == 129_599
    assert not generation.models


def test_a_spec_that_differs_from_sunos_literals_has_no_oracle(tiny_bundle: Bundle) -> None:
    spec = tiny_bundle.spec
    other = Bundle(tiny_bundle.folder)
    other.spec = spec.model_copy(update={"fine": spec.fine.model_copy(update={"window": 512})})
    with pytest.raises(ValueError, match=r"fine\.window is 512"), oracle.load(other):
        pass
