"""Reading a checkpoint's tokenizer: ``tokenizer.json``, or BERT's ``vocab.txt``."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer, models

from bark_serving.spec import Spec
from build_engines.bundles.wordpiece import bert_cased
from build_engines.errors import CheckpointError


def read_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a ``tokenizer.json``, or of a ``vocab.txt`` (one WordPiece entry per line).

    Raises `CheckpointError`.
    """
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
    numbers = spec.semantic
    limit = min(numbers.text_pad, numbers.infer_token, numbers.gpt.input_vocab) - numbers.text_offset
    size = tokenizer.get_vocab_size()
    if size > limit:
        raise CheckpointError(
            f"the tokenizer has {size} entries, the semantic network has room for {limit}.",
            remedy="Give the tokenizer that the checkpoint was trained with.",
        )
