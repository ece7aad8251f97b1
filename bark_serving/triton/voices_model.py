"""The Triton model ``voices``: list, get, check, put, delete and rename the voices of a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bark_serving.arrays import Array
from bark_serving.triton.parameters import Parameters, open_library
from bark_serving.triton.tensors import answered, read_inputs
from bark_serving.voices.commands import run_command


class VoicesModel:
    """One command per request; see `run_command`."""

    def initialize(self, args: Mapping[str, str]) -> None:
        self._library = open_library(Parameters(args))

    def execute(self, requests: list[Any]) -> list[Any]:
        return [answered(self._outputs, request) for request in requests]

    def _outputs(self, inputs: dict[str, Array]) -> dict[str, Array]:
        return run_command(read_inputs(inputs), library=self._library)
