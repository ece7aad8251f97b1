"""What is checked of the options of `bark-build engines` before anything is listed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bark_serving.host import gpus
from bark_serving.profiles import ProfileRow
from build_engines.errors import BuildError
from build_engines.tensorrt.architectures import GPUS, parse


def _gpu(row: ProfileRow) -> bool:
    return row.gpu == "always"


def _tensorrt_llm(row: ProfileRow) -> bool:
    return any(stage.backend == "tensorrtllm" for stage in row.stages.values())


#: Whether a profile uses an option.
USES: Final[Mapping[str, Callable[[ProfileRow], bool]]] = {
    "--gpu": _gpu,
    "--max-batch": _tensorrt_llm,
    "--min-eos-p": _tensorrt_llm,
    "--temperature": _tensorrt_llm,
}


def architectures_of(text: str) -> Sequence[str]:
    """The architectures of ``--gpu``, one per engine. Raises `BuildError`.

    It also does for one that this version does not know, unless a GPU of this machine has it.
    """
    found = parse(text)
    known = {*GPUS, *gpus.architectures()}
    for name in (name for entry in found for name in entry.split("+") if name not in known):
        raise BuildError(
            f"{name} is not a GPU architecture that is known here.",
            remedy=f"They are called {', '.join(f'{one} ({examples})' for one, examples in GPUS.items())}.",
        )
    return found
