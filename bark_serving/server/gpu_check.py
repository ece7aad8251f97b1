"""Whether the GPUs here can serve plans in this project's own runtime, before anything is loaded.

It looks at the architecture, the driver and the memory.

Not yet run on hardware.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bark_serving.decoding.buckets import padded_rows
from bark_serving.engines.store import Engine
from bark_serving.host import gpus
from bark_serving.profiles import TABLE, Profile, Stage
from bark_serving.server.errors import RepositoryError
from bark_serving.spec import Spec

PLAN_PROFILES: tuple[Profile, ...] = ("rtx", "tensorrt")  #: whose plans it runs
CUDA = 13_000  #: that the wheels of the extras `rtx` and `tensorrt` are for, as drivers count: 13.0
PROCESS_BYTES = 400e6  #: of GPU memory that CUDA takes in the process of each stage, as an estimate
_HALF_BYTES = 2  #: of a number in a cache


def check_gpus(profile: Profile, numbers: Sequence[int], *, architecture: str | None) -> None:
    """Check the GPUs of these numbers; with `architecture`, those of another machine. Raises `RepositoryError`."""
    names = [architecture] if architecture else gpus.architectures(numbers)
    count = gpus.gpu_count()
    if architecture is None and count and (absent := [number for number in numbers if number >= count]):
        raise RepositoryError(
            f"There is no GPU {absent[0]} here; the GPUs here have the numbers 0..{count - 1}.",
            remedy="Name one of these, as in --gpus 0. CUDA_VISIBLE_DEVICES hides GPUs, and changes the numbers.",
        )
    if not names:
        raise RepositoryError(
            f"The {profile} profile needs an NVIDIA GPU, and there is none here.",
            remedy="Does `nvidia-smi` list it? Without one, give --profile cpu.",
        )
    for name in names:
        served = TABLE[profile].architectures
        if served and name not in served:
            raise RepositoryError(
                f"The {profile} profile does not serve on {name}; it does on {', '.join(served)}.",
                remedy="Give --profile tensorrt or --profile torch.",
            )
    if architecture is None and (found := gpus.driver_cuda()) < CUDA:
        raise RepositoryError(
            f"The NVIDIA driver is for CUDA {_version(found)}; the {profile} profile needs one for {_version(CUDA)}.",
            remedy="Update the driver, or give --profile torch.",
        )


def _version(number: int) -> str:
    """13_000 → 13.0."""
    return f"{number // 1000}.{number % 1000 // 10}"


def check_engines(engines: Mapping[Stage, Engine], *, spec: Spec, max_batch: int, numbers: Sequence[int]) -> None:
    """Check that the plans take `max_batch` sequences, and fit into the memory of each GPU. Raises `RepositoryError`.

    The memory of a GPU that the driver does not show is not checked.
    """
    for stage in ("semantic", "coarse"):
        limit = engines[stage].manifest.shapes["batch"][2]
        if max_batch > limit:
            raise RepositoryError(
                f"The {stage} plan decodes at most {limit} sequences at once, not {max_batch}.",
                remedy=f"Give --max-batch {limit}.",
            )
    found = min((size for number in numbers if (size := gpus.memory(number))), default=None)
    needed = needed_bytes(engines, spec=spec, max_batch=max_batch)
    if found is not None and needed > found:
        raise RepositoryError(
            f"The stages need about {needed / 1e9:.1f} GB of GPU memory with {max_batch} sequences at once, "
            f"the GPU has {found / 1e9:.1f} GB.",
            remedy="Give a smaller --max-batch, --precision int4, or Bark small.",
        )


def needed_bytes(engines: Mapping[Stage, Engine], *, spec: Spec, max_batch: int) -> float:
    """GPU memory of all stages: plans, what their steps take, KV caches, and CUDA itself."""
    total = 0.0
    for stage, engine in engines.items():
        contexts = 1
        if stage in ("semantic", "coarse"):
            gpt = spec.gpt(stage)
            total += 2 * gpt.layers * max_batch * gpt.width * gpt.block_size * _HALF_BYTES
            contexts += len({padded_rows(rows, max_batch) for rows in range(1, max_batch + 1)})
        total += engine.model.stat().st_size + contexts * (engine.manifest.memory or 0) + PROCESS_BYTES
    return total
