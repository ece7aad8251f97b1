"""Tokenizers that do not fit the checkpoint are refused."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models

from bark_serving.bundle import MINIATURE, Bundle
from bark_serving.spec import Spec
from build_engines.bundles.tokenizers import check_coverage, check_tokenizer, read_tokenizer
from build_engines.errors import CheckpointError
from tests.build_engines.checkpoints.refusals import refused


def test_a_file_that_is_not_a_tokenizer_is_named(transformers: Path) -> None:
    (transformers / "vocab.txt").unlink()
    (transformers / "tokenizer.json").write_text("{}")
    refused(transformers, r"tokenizer\.json is not a tokenizer of the tokenizers library")
    (transformers / "tokenizer.json").unlink()
    (transformers / "vocab.txt").write_text("a\nb\n")
    refused(transformers, r"vocab\.txt: 2 lines without \[UNK\]")


def five_words() -> str:
    """What transformers 5.23 saves after BertTokenizerFast(vocab_file=…)."""
    tokens = {word: index for index, word in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"))}
    return str(Tokenizer(models.WordPiece(tokens, unk_token="[UNK]")).to_str())


def test_a_tokenizer_of_five_words_is_refused(transformers: Path) -> None:
    (transformers / "tokenizer.json").write_text(five_words())
    refused(transformers, r"tokenizer\.json: the tokenizer has 5 entries, .* trained on \d+ text ids .*--tokenizer")


def wordpiece(entries: int) -> Tokenizer:
    return Tokenizer(models.WordPiece({"[UNK]": 0, **{f"w{i}": i for i in range(1, entries)}}, unk_token="[UNK]"))


@pytest.mark.parametrize(
    ("entries", "covered"), [(119_547, True), (119_547 - 128, True), (107_593, True), (105_879, False), (28_996, False)]
)
def test_a_few_ids_of_barks_range_may_stay_unused(entries: int, covered: bool) -> None:
    """105 879 entries has bert-base-multilingual-uncased, 28 996 bert-base-cased."""
    refusal = pytest.raises(CheckpointError, match=f"has {entries} entries, .* 119547 text ids")
    with nullcontext() if covered else refusal:
        check_coverage(wordpiece(entries), spec=Spec(name="bark"))


def test_the_miniatures_own_tokenizer_covers_it_and_five_words_do_not() -> None:
    miniature = Bundle(MINIATURE)
    check_coverage(read_tokenizer(miniature.tokenizer), spec=miniature.spec)
    with pytest.raises(CheckpointError, match="has 5 entries"):
        check_coverage(wordpiece(5), spec=miniature.spec)


def test_a_tokenizer_whose_ids_leave_gaps_must_still_fit() -> None:
    tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 119_547}, unk_token="[UNK]"))
    with pytest.raises(CheckpointError, match="has 119548 entries, the semantic network has room for 119547"):
        check_tokenizer(tokenizer, spec=Spec(name="bark"))
