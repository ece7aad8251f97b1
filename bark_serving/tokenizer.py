"""The text tokenizer of a bundle."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer

from bark_serving.spec import BundleError
from bark_serving.text import Tokenise


def load_tokenise(path: Path) -> Tokenise:
    """A function from text to ids, without special tokens or the text offset, from a ``tokenizer.json``."""
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise BundleError(f"{path} is not a tokenizer: {error}. Import the checkpoint again.") from error

    def tokenise(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False).ids)

    return tokenise
