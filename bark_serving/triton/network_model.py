"""The Triton model of a network without state: fine, encodec_decode, encodec_encode, hubert."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from bark_serving.arrays import Array
from bark_serving.profiles import Stage
from bark_serving.runtimes import open_network
from bark_serving.triton.tensors import Parameters, failure, inputs_of, response

log = logging.getLogger(__name__)


class NetworkModel:
    """Runs requests of equal shapes and outputs as one batch."""

    def initialize(self, args: Mapping[str, str]) -> None:
        parameters = Parameters(args)
        on_gpu = args["model_instance_kind"] == "GPU"
        device = f"cuda:{args['model_instance_device_id']}" if on_gpu else "cpu"
        self._network = open_network(cast(Stage, parameters.model), parameters.runtime(), device=device)

    def execute(self, requests: list[Any]) -> list[Any]:
        answers: list[Any] = [None] * len(requests)
        groups: dict[Any, list[int]] = defaultdict(list)
        inputs = [inputs_of(request) for request in requests]
        for index, request in enumerate(requests):
            shapes = tuple((name, array.shape[1:]) for name, array in sorted(inputs[index].items()))
            groups[shapes, tuple(request.requested_output_names())].append(index)
        for (_, outputs), members in groups.items():
            for index, answer in zip(members, self._batch([inputs[i] for i in members], outputs), strict=True):
                answers[index] = answer
        return answers

    def _batch(self, inputs: list[dict[str, Array]], outputs: tuple[str, ...]) -> list[Any]:
        try:
            joined = {name: np.concatenate([one[name] for one in inputs]) for name in inputs[0]}
            results = self._network(joined, list(outputs))
        except Exception as error:
            log.exception("a batch failed")
            return [failure(error) for _ in inputs]
        ends = np.cumsum([len(next(iter(one.values()))) for one in inputs])
        return [
            response({name: result[end - size : end] for name, result in results.items()})
            for end, size in zip(ends, np.diff(ends, prepend=0), strict=True)
        ]
