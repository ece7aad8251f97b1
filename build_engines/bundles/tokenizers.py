"""Reading a checkpoint's tokenizer: ``tokenizer.json``, or BERT's ``vocab.txt``."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer, models

from bark_serving.spec import Spec
from build_engines.bundles.wordpiece import bert_cased
from build_engines.errors import CheckpointError, refuse_placeholder

MAX_UNUSED_SHARE = 0.1  #: of a checkpoint's text ids, so many may have no entry in its tokenizer
MAX_ROUNDING = 128  #: ids; vocabularies are rounded up to multiples of this or less


def read_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a ``tokenizer.json``, or of a ``vocab.txt`` (one WordPiece entry per line).

    Raises `CheckpointError`.
    """
    refuse_placeholder(path, text=True)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path}: the tokenizer cannot be read ({error}).") from error
    if path.suffix == ".json":
        return _from_json(text, path)
    return _from_vocabulary(text, path)


def _from_json(text: str, path: Path) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:
        raise CheckpointError(
            f"{path} is not a tokenizer of the tokenizers library ({error}).",
            remedy="Give the tokenizer.json or vocab.txt of bert-base-multilingual-cased.",
        ) from error
    # Bark pads its prompts to a fixed length itself
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _from_vocabulary(text: str, path: Path) -> Tokenizer:
    pieces = text.rstrip("\n").split("\n")
    vocabulary = {piece.rstrip("\r"): index for index, piece in enumerate(pieces)}
    if "[UNK]" not in vocabulary:
        raise CheckpointError(
            f"{path}: {len(pieces)} lines without [UNK], expected a WordPiece vocabulary.",
            remedy="Give the vocab.txt of bert-base-multilingual-cased.",
        )
    return bert_cased(Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100)))


def check_tokenizer(tokenizer: Tokenizer, *, spec: Spec) -> None:
    """Raise `CheckpointError` unless every id of the tokenizer lies below the semantic network's own tokens."""
    room = _text_ids(spec)
    size = max(tokenizer.get_vocab().values(), default=-1) + 1  # ids need not be without gaps
    if size > room:
        raise CheckpointError(
            f"the tokenizer has {size} entries, the semantic network has room for {room}.",
            remedy="Give the tokenizer that the checkpoint was trained with.",
        )


def check_coverage(tokenizer: Tokenizer, *, spec: Spec) -> None:
    """Raise `CheckpointError` unless the tokenizer uses the text ids that the checkpoint was trained on.

    Ids may stay unused: trainers round vocabularies up. So a tenth of the ids may, or 128 of them, but not half. The
    nearest wrong vocabulary is that of bert-base-multilingual-uncased: 105 879 entries where 119 547 belong, 89 %.
    """
    room, size = _text_ids(spec), tokenizer.get_vocab_size()
    if room - size <= max(room * MAX_UNUSED_SHARE, min(MAX_ROUNDING, room // 2)):
        return
    numbers = spec.semantic
    raise CheckpointError(
        f"the tokenizer has {size} entries, the checkpoint was trained on {room} text ids "
        f"({numbers.text_offset} to {numbers.text_offset + room - 1}); most words would become [UNK].",
        remedy="Give the checkpoint's own with --tokenizer: of Bark, bert-base-multilingual-cased or its vocab.txt. "
        "(A tokenizer.json of five entries is what transformers 5 saves after BertTokenizerFast(vocab_file=…); "
        "BertTokenizerFast.from_pretrained reads the vocabulary.)",
    )


def _text_ids(spec: Spec) -> int:
    """How many ids the semantic network has for text: those from `text_offset` to the first of its own tokens."""
    numbers = spec.semantic
    return min(numbers.text_pad, numbers.infer_token, numbers.gpt.input_vocab) - numbers.text_offset
