"""The Triton model ``voices``: list, get, check, put, delete and rename what a server can speak with."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from bark_serving.errors import ServingError
from bark_serving.triton.parameters import Parameters, open_library
from bark_serving.triton.tensors import failure, inputs_of, read_inputs, response
from bark_serving.voices.commands import run_command

log = logging.getLogger(__name__)


class VoicesModel:
    """One command per request; see `run_command`."""

    def initialize(self, args: Mapping[str, str]) -> None:
        self._library = open_library(Parameters(args))

    def execute(self, requests: list[Any]) -> list[Any]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        try:
            return response(run_command(read_inputs(inputs_of(request)), library=self._library))
        except Exception as error:
            if not isinstance(error, ServingError):
                log.exception("a request failed")
            return failure(error)
