"""What the runtimes of TensorRT plans ask of a GPU. `nvidia_device` is one; tests have one that computes on the CPU.

Memory on a device is known by its address, a number. All work on one device happens in the order in which it is asked
for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from bark_serving.arrays import Array

_ALIGNMENT = 256  #: bytes; CUDA's own


class Place(NamedTuple):
    """Where a tensor is, and its shape."""

    address: int
    shape: tuple[int, ...]


class LoadedPlan(Protocol):
    """A plan on a device."""

    def output_shapes(self, inputs: Mapping[str, Place]) -> Mapping[str, tuple[int, ...]]:
        """The shapes of the outputs, in the first optimization profile, for inputs of these shapes."""

    def bind(self, tensors: Mapping[str, Place], *, profile: int, repeated: bool) -> Callable[[], None]:
        """A step that runs the plan on these tensors, which are all its inputs and outputs.

        profile: which of the plan's optimization profiles. repeated: the step will run often, so it gets a context of
        its own, where CUDA graphs can be recorded. Other steps share one context: use them before the next `bind`.
        """


class Device(Protocol):
    """One GPU."""

    def allocate(self, size: int) -> int:
        """The address of ``size`` zeroed bytes. They are freed with the process."""

    def upload(self, address: int, array: Array) -> None:
        """Copy a C-contiguous array to the device. It may be changed when this returns."""

    def download(self, address: int, array: Array) -> None:
        """Fill a C-contiguous array from the device, after all work asked for before."""

    def copy(self, target: int, source: int, *, size: int, stride: int, count: int) -> None:
        """Copy ``count`` blocks of ``size`` bytes that lie ``stride`` bytes apart."""

    def load(self, plan: Path) -> LoadedPlan:
        """Load a plan. Raises a `UserError` if this GPU, its driver or the installed release cannot run it."""


class StagingBuffer:
    """Some arrays that are copied to or from a device as one. Write to and read from `arrays`."""

    def __init__(self, device: Device, tensors: Mapping[str, tuple[type[np.generic], tuple[int, ...]]]) -> None:
        sizes = {name: int(np.prod(shape)) * np.dtype(kind).itemsize for name, (kind, shape) in tensors.items()}
        padded = [-(-size // _ALIGNMENT) * _ALIGNMENT for size in sizes.values()]
        self._offsets = dict(zip(sizes, np.cumsum([0, *padded[:-1]]).tolist(), strict=True))
        self._host = np.zeros(sum(padded), np.uint8)
        self._address = device.allocate(len(self._host))
        self._device = device
        self.arrays: dict[str, Array] = {
            name: self._host[self._offsets[name] : self._offsets[name] + sizes[name]].view(kind).reshape(shape)
            for name, (kind, shape) in tensors.items()
        }

    def place(self, name: str, *shape: int) -> Place:
        """Where the first elements of an array are on the device, in another shape."""
        return Place(self._address + self._offsets[name], shape)

    def upload(self) -> None:
        self._device.upload(self._address, self._host)

    def download(self) -> None:
        self._device.download(self._address, self._host)
