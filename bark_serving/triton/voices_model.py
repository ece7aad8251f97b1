"""The Triton model ``voices``: what a server can speak with."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bark_serving.errors import InvalidRequest, ServingError
from bark_serving.triton.bark_model import read_inputs
from bark_serving.triton.tensors import Parameters, failure, inputs_of, response
from bark_serving.voices import VoiceLibrary, language_of

log = logging.getLogger(__name__)


class VoicesModel:
    """Answers ``list``."""

    def initialize(self, args: Mapping[str, str]) -> None:
        parameters = Parameters(args)
        bundle = parameters.bundle()
        self._library = VoiceLibrary([bundle.voices, *parameters.paths("voices")], spec=bundle.spec)

    def execute(self, requests: list[Any]) -> list[Any]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        try:
            command = read_inputs(inputs_of(request))["command"]
            if command != "list":
                raise InvalidRequest(f"{command!r} is no command of this model; it knows list.")
            voices = [json.dumps(voice).encode() for voice in self._describe_all()]
            return response({"voices": np.array(voices, np.object_)})
        except ServingError as error:
            return failure(error)

    def _describe_all(self) -> Iterator[dict[str, Any]]:
        for name in self._library.names():
            try:
                voice = self._library.get(name)
            except InvalidRequest as error:
                log.warning("left out of the list: %s", error)
                continue
            yield {
                "name": name,
                "language": language_of(name),
                "semantic_tokens": len(voice.semantic),
                "frames": int(voice.fine.shape[1]),
            }
