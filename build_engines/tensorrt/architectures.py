"""GPU architectures: parsing ``--gpu``, the GPUs behind each name, and which TensorRT builds for which of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from bark_serving.host import gpus
from bark_serving.profiles import TABLE, Profile
from build_engines.errors import BuildError
from build_engines.tensorrt.library import Library

#: Common GPUs of each architecture.
GPUS = {
    "sm75": "T4, RTX 20",
    "sm80": "A100, A30",
    "sm86": "A10, A40, RTX 30",
    "sm89": "L4, L40S, RTX 40",
    "sm90": "H100, H200, GH200",
    "sm100": "B200, GB200",
    "sm103": "B300, GB300",
    "sm120": "RTX PRO 6000, RTX 50",
    "sm121": "GB10",
}
_NOT_ARCHITECTURES = ("NONE", "CURRENT")


def parse(text: str) -> Sequence[str]:
    """The architectures of ``--gpu``, one per engine. ``auto``: this machine's; ``sm80,sm90`` → ("sm80", "sm90").

    ``sm80+sm86`` is one engine for both. Raises `BuildError` for another text, or when there is no GPU to find.
    """
    if text == "auto":
        found = gpus.architectures()
        if not found:
            raise BuildError(
                "There is no NVIDIA GPU here to build for.",
                remedy="Name the architectures, as in --gpu sm80,sm90, or build on the machine that serves.",
            )
        return found
    return tuple(dict.fromkeys(join(_one(name) for name in entry.split("+")) for entry in text.lower().split(",")))


def _one(name: str) -> str:
    found = gpus.architecture_name(name)
    if found is None:
        known = ", ".join(f"{name} ({examples})" for name, examples in GPUS.items())
        raise BuildError(f"{name.strip()!r} is not a GPU architecture.", remedy=f"They are called {known}.")
    return found


def join(names: Iterable[str]) -> str:
    """One name for several architectures, in ascending order: the `architecture` of a manifest."""
    return "+".join(sorted(set(names), key=number))


def number(name: str) -> int:
    """sm90 → 90."""
    return int(name.removeprefix("sm"))


def check(architecture: str, *, library: Library, profile: Profile = "tensorrt") -> Sequence[str]:
    """The architectures to give to `library`'s builder for one engine. Empty if the builder takes none.

    Raises `BuildError` if this library or this machine cannot build for them, and says where it can be done for a
    server of the profile.
    """
    if library.flavour == "tensorrt":
        check_here(architecture, profile=profile)
        return ()
    served = TABLE["rtx"].architectures or ()
    requested, known = architecture.split("+"), [name for name in supported(library) if name in served]
    for name in requested:
        if name not in known:
            raise BuildError(
                f"{library.title} does not build all networks for {_described(name)}; it does for {', '.join(known)}.",
                remedy=_elsewhere(name, profile="tensorrt"),
            )
    return requested


def check_here(architecture: str, *, profile: Profile) -> None:
    """Raise `BuildError` unless TensorRT can build for this architecture here: it builds for the GPU it runs on.

    It need not be installed.
    """
    elsewhere, requested = partial(_elsewhere, profile=profile), architecture.split("+")
    here = next(iter(gpus.architectures((0,))), None)  # of several GPUs, TensorRT takes CUDA's first
    if here is None:
        raise BuildError(
            "TensorRT builds on the GPU it builds for, and there is none here.", remedy=elsewhere(requested[0])
        )
    if requested != [here]:
        other = next((name for name in requested if name != here), requested[0])
        raise BuildError(
            f"TensorRT builds for the GPU it runs on, here {here}, not for {architecture}.",
            remedy=f"If this machine has one, hide the others with CUDA_VISIBLE_DEVICES. {elsewhere(other)}",
        )


def supported(library: Library) -> Sequence[str]:
    """The architectures that a TensorRT for RTX builds for, in ascending order."""
    names = [name for name in dir(library.api.ComputeCapability) if name.isupper() and name not in _NOT_ARCHITECTURES]
    return sorted((name.lower() for name in names), key=number)


def _described(name: str) -> str:
    return f"{name} ({GPUS[name]})" if name in GPUS else name


def _elsewhere(name: str, *, profile: Profile) -> str:
    return (
        f"Build on a machine that has {_described(name)}, with the TensorRT that will serve: "
        f"`bark-build engines --profile {profile} --gpu {name}` with the same bundle."
    )
