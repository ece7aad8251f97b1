"""The Triton models before and after HuBERT and the codec in the ensemble ``clone_voice``."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from bark_serving.arrays import Array
from bark_serving.errors import InvalidRequest
from bark_serving.triton.parameters import Parameters
from bark_serving.triton.tensors import answered
from bark_serving.voices import cloning


class _CloneModel(ABC):
    """Answers each request separately."""

    def initialize(self, args: Mapping[str, str]) -> None:
        self._spec = Parameters(args).bundle().spec

    def execute(self, requests: list[Any]) -> list[Any]:
        return [answered(self.outputs, request) for request in requests]

    @abstractmethod
    def outputs(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """The outputs of one request. Raises `ServingError`."""


class PrepareModel(_CloneModel):
    """``clone_prepare``: a clip at any rate → mono audio for each of the two networks."""

    def outputs(self, inputs: dict[str, Array]) -> dict[str, Array]:
        rate = inputs["sample_rate"]
        if rate.size != 1:
            raise InvalidRequest(f"sample_rate has {rate.size} elements; it must have one.")
        prepared = cloning.prepare(inputs["audio"], sample_rate=int(rate.item()), spec=self._spec)
        report = {"seconds": round(prepared.seconds, 3), "warnings": prepared.warnings}
        return {
            "hubert_audio": prepared.hubert[None],
            "encodec_audio": prepared.encodec[None],
            "report": np.array([json.dumps(report, ensure_ascii=False).encode()], np.object_),
        }


class AssembleModel(_CloneModel):
    """``clone_assemble``: tokens and codes → the three arrays of a voice."""

    def outputs(self, inputs: dict[str, Array]) -> dict[str, Array]:
        voice = cloning.assemble(inputs["tokens"][0], inputs["codes"][0], spec=self._spec)
        return dict(voice.arrays)


class NoCloningModel(_CloneModel):
    """``clone_voice`` where the checkpoint has no HuBERT: refuses every request with the reason."""

    def outputs(self, inputs: dict[str, Array]) -> dict[str, Array]:
        cloning.hubert_of(self._spec)
        raise InvalidRequest("this server was rendered from a checkpoint without HuBERT; render it again.")
