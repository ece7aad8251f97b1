"""A network without state as a TensorRT plan: fine, encodec_decode, encodec_encode, hubert."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bark_serving.arrays import Array
from bark_serving.engines.manifest import Manifest
from bark_serving.errors import InvalidRequest
from bark_serving.runtimes.device import Device, Place


class PlanNetwork:
    """Implements `bark_serving.runtimes.factory.Network` on a plan, which has one optimization profile."""

    def __init__(self, device: Device, plan: Path, *, manifest: Manifest) -> None:
        self._device = device
        self._manifest = manifest
        self._plan = device.load(plan)
        self._lock = threading.Lock()  # the memory below is of one call at a time
        self._memory: dict[str, tuple[int, int]] = {}  # address and size of each tensor's memory, by name

    def __call__(self, inputs: dict[str, Array], outputs: list[str]) -> dict[str, Any]:
        """As many rows at once as the plan takes. Raises `InvalidRequest` for a length that it does not take."""
        if unknown := sorted((set(inputs) | set(outputs)) - set(self._manifest.inputs) - set(self._manifest.outputs)):
            raise InvalidRequest(f"{self._manifest.stage} has no {' and no '.join(unknown)} in this profile.")
        limit = self._manifest.shapes["batch"][2]
        rows = len(next(iter(inputs.values())))
        with self._lock:
            parts = [
                self._run({name: array[first : first + limit] for name, array in inputs.items()})
                for first in range(0, rows, limit)
            ]
        return {name: np.concatenate([part[name] for part in parts]) for name in outputs}

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        places = {}
        for name, info in self._manifest.inputs.items():
            array = np.ascontiguousarray(inputs[name], info.dtype)
            self._check_lengths(name, array)
            places[name] = self._place(name, array)
            self._device.upload(places[name].address, array)
        shapes = self._plan.output_shapes(places)
        results = {name: np.empty(shapes[name], info.dtype) for name, info in self._manifest.outputs.items()}
        written = {name: self._place(name, array) for name, array in results.items()}
        self._plan.bind(places | written, profile=0, repeated=False)()
        for name, array in results.items():
            self._device.download(written[name].address, array)
        return results

    def _check_lengths(self, name: str, array: Array) -> None:
        for axis, size in zip(self._manifest.inputs[name].axes[1:], array.shape[1:], strict=True):
            if isinstance(axis, str):
                smallest, _, largest = self._manifest.shapes[axis]
                if not smallest <= size <= largest:
                    raise InvalidRequest(f"{name} has {size} {axis}; send {smallest}..{largest}.")

    def _place(self, name: str, array: Array) -> Place:
        """Memory of a tensor's own, which grows to what it needs."""
        address, size = self._memory.get(name, (0, 0))
        if array.nbytes > size:
            size = max(array.nbytes, 2 * size)  # what was there before stays allocated: together at most as much again
            address = self._device.allocate(size)
            self._memory[name] = address, size
        return Place(address, array.shape)
