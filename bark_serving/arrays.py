"""Names for the array types that cross function borders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.integer[Any]]  #: token ids or codes of any width, as callers have them
Ids = npt.NDArray[np.int32]  #: token ids or codes, as we hand them out
Floats = npt.NDArray[np.float32]  #: audio, logits, embeddings

#: bfloat16, which numpy does not know: two opaque bytes.
BFLOAT16 = np.dtype("V2")

Tokenise = Callable[[str], Sequence[int]]  #: text to tokenizer ids
