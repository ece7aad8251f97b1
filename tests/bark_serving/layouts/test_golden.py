"""Arrays recorded from the real checkpoint at temperature 0: tokenisation, layouts, lengths and ranges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tokenizers import BertWordPieceTokenizer

from bark_serving.decoding.rules import allowed_ids, rule_of
from bark_serving.layouts import coarse, fine, semantic
from bark_serving.spec import Spec

SPEC = Spec(name="released")
TEXT = "Ceci est un texte en français pour tester le bon fonctionnement de bark."


def recorded(name: str) -> list[np.ndarray]:
    """The arrays of a recording: int32 number of dimensions, dimensions (the innermost first), data, and again."""
    data = np.fromfile(Path(__file__).parents[2] / "data" / "golden" / f"{name}.bin", "<i4")
    arrays = []
    while len(data):
        rank = data[0]
        shape = data[1 : 1 + rank]
        size = int(np.prod(shape))
        arrays.append(data[1 + rank :][:size].reshape(shape[::-1]))
        data = data[1 + rank + size :]
    return arrays


def test_the_french_sentence_has_exactly_the_recorded_prompt(vocabulary: Path) -> None:
    tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=False, strip_accents=False)
    ids = np.array(tokenizer.encode(TEXT, add_special_tokens=False).ids)
    prompt, _ = recorded("semantic_1")
    text, history = semantic.prompt_ids(ids, spec=SPEC.semantic)
    np.testing.assert_array_equal(np.concatenate([text, history, [SPEC.semantic.infer_token]]), prompt)


def test_recorded_semantic_tokens_are_allowed_and_within_the_limit() -> None:
    _, tokens = recorded("semantic_1")
    assert len(tokens) <= SPEC.semantic.max_steps
    assert set(tokens) <= set(allowed_ids(rule_of("semantic", SPEC), 0))


def test_261_semantic_tokens_make_392_coarse_frames_in_range() -> None:
    tokens, codes = recorded("coarse_1")
    plan = coarse.schedule(tokens, spec=SPEC)
    assert len(tokens) == 261 and codes.shape == (2, 392)
    assert plan.steps == codes.size
    ids, rule = coarse.flatten(codes, spec=SPEC), rule_of("coarse", SPEC)
    last = SPEC.coarse.infer_token
    for token in ids:
        assert token in allowed_ids(rule, last)
        last = int(token)
    np.testing.assert_array_equal(coarse.unflatten(ids, spec=SPEC), codes)


def test_832_recorded_frames_fit_one_fine_window_with_their_coarse_codes() -> None:
    given, codes = recorded("fine_1")
    (window,) = fine.windows(given.shape[1], spec=SPEC)
    assert (window.start, window.fill, window.final) == (0, 0, 832)
    assert codes.shape == (SPEC.encodec.codebooks, 832) and codes.max() < SPEC.encodec.codebook_size
    np.testing.assert_array_equal(codes[:2], given)
