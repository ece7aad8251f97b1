"""Which engines the kernels run: those with packed weights, where `bark_kernels` is installed and fits the processor.

ONNX Runtime runs the others. The variable ``BARK_KERNELS`` names an instruction set, or is ``off``.
"""

from __future__ import annotations

from pathlib import Path

from bark_serving.engines.compatibility import kernels_layout
from bark_serving.engines.store import EngineError

KERNELS_FILE = "kernels.safetensors"  #: an engine's packed weights
MANIFEST_NAME = "bark_kernels"  #: of their layout's version, among a manifest's versions


def instruction_set() -> str | None:
    """The instruction set that the kernels use here; None: they are not installed, do not fit, or are switched off.

    Raises `EngineError` if ``BARK_KERNELS`` names an instruction set that this processor does not have.
    """
    if kernels_layout() is None:
        return None
    from bark_kernels import Unsupported, chosen_instruction_set

    try:
        return chosen_instruction_set()
    except Unsupported as error:
        problem, _, remedy = str(error).partition(". ")
        raise EngineError(f"{problem.removesuffix('.')}.", remedy=remedy) from error


def packed_weights(engine: Path) -> Path | None:
    """The packed weights of an engine's folder if the kernels are to run it, else None. Raises as `instruction_set`."""
    path = engine / KERNELS_FILE
    return path if path.exists() and instruction_set() is not None else None
