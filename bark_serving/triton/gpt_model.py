"""The Triton model of the two GPT stages: the ``tensorrtllm`` backend's tensors around a `DecodeLoop`.

The model is not decoupled, yet ``execute`` returns at once: the model keeps each request's response sender and answers
when the sequence ends. So sequences join and leave one batch, and every request has exactly one response.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, cast

import numpy as np

from bark_serving.arrays import Array, Floats, Ids
from bark_serving.decoding.loop import DecodeLoop
from bark_serving.decoding.loop_pool import LoopPool
from bark_serving.decoding.sampling import Sampling
from bark_serving.decoding.sequence import Generation
from bark_serving.errors import InvalidRequest
from bark_serving.runtimes.factory import open_gpts
from bark_serving.spec import GptSpec, GptStage
from bark_serving.triton.parameters import Parameters
from bark_serving.triton.tensors import failure, finish, inputs_of, response


class GptModel:
    """``semantic`` or ``coarse``, by the model's name."""

    def initialize(self, args: Mapping[str, str]) -> None:
        parameters = Parameters(args)
        settings, stage = parameters.runtime(), cast(GptStage, parameters.model)
        self._gpt: GptSpec = settings.bundle.spec.gpt(stage)
        samplers = open_gpts(stage, settings, max_batch=parameters.number("max_batch"))
        self._embed = samplers[0].runtime.embed
        self._loops = LoopPool([DecodeLoop(sampler) for sampler in samplers])

    def execute(self, requests: list[Any]) -> list[None]:
        for request in requests:
            sender = request.get_response_sender()
            try:
                self._accept(request.request_id(), inputs_of(request), sender)
            except Exception as error:  # noqa: BLE001 - a request that cannot be read must be answered
                finish(sender, failure(error))
        return [None] * len(requests)

    def finalize(self) -> None:
        self._loops.close()

    def _accept(self, request_id: str, inputs: dict[str, Array], sender: Any) -> None:
        if "stop" in inputs and inputs["stop"].item():
            self._loops.stop(request_id)
            finish(sender, _answer(np.empty(0, np.int32)))
            return
        generation = parse_generation(inputs, gpt=self._gpt, embed=self._embed, request_id=request_id)
        self._loops.submit(generation).add_done_callback(lambda done: finish(sender, _result(done)))


def parse_generation(inputs: dict[str, Array], *, gpt: GptSpec, embed: Any, request_id: str) -> Generation:
    """A `Generation` from the ``tensorrtllm`` backend's tensors. Raises `InvalidRequest`."""
    ids = inputs["input_ids"].reshape(-1)[: int(inputs["input_lengths"].item())]
    count = int(inputs["request_output_len"].item())
    first_step = int(inputs["first_step"].item()) if "first_step" in inputs else 0
    if not 0 <= first_step <= gpt.block_size:
        raise InvalidRequest(f"first_step is {first_step}; it must be in 0..{gpt.block_size}.")
    if len(ids) == 0 or count < 1 or len(ids) + count - 1 > gpt.block_size:
        raise InvalidRequest(
            f"{len(ids)} input ids and {count} tokens to generate; both must be at least 1, "
            f"together at most {gpt.block_size + 1}."
        )

    def value(name: str, default: float) -> Any:
        return inputs[name].item() if name in inputs else default

    return Generation(
        prompt=_prompt(ids, inputs, gpt=gpt, embed=embed),
        ids=ids,
        max_tokens=count,
        sampling=Sampling(
            temperature=value("temperature", 1.0),
            top_k=int(value("runtime_top_k", 0)),
            top_p=value("runtime_top_p", 1.0),
            seed=int(value("seed", 0)),
        ),
        min_eos_p=value("min_eos_p", 1.1),
        request_id=request_id,
        due=value("due", 0.0),
        first_step=first_step,
        hold=bool(value("hold", False)),
    )


def _prompt(ids: Array, inputs: dict[str, Array], *, gpt: GptSpec, embed: Any) -> Floats:
    """[n] ids → [n, width]. With a prompt table, ids from ``output_vocab`` on are rows of the table."""
    table = inputs.get("prompt_embedding_table")
    if table is None:
        if ids.min() < 0 or ids.max() >= gpt.input_vocab:
            raise InvalidRequest(f"input_ids hold {ids.min()}..{ids.max()}; they must be in 0..{gpt.input_vocab - 1}.")
        return np.asarray(embed(ids), np.float32)
    rows = table.reshape(-1, table.shape[-1]).astype(np.float32)
    end = gpt.output_vocab + len(rows)
    if rows.shape[1] != gpt.width or ids.min() < 0 or ids.max() >= end:
        raise InvalidRequest(
            f"prompt_embedding_table has shape {list(rows.shape)}; it must be [ids, {gpt.width}], and input_ids must "
            f"be in 0..{end - 1}: those from {gpt.output_vocab} on are its rows."
        )
    if not np.isfinite(rows).all():
        raise InvalidRequest("prompt_embedding_table holds values that are not finite numbers.")
    plain = ids < gpt.output_vocab
    prompt = np.empty((len(ids), gpt.width), np.float32)
    prompt[~plain] = rows[ids[~plain] - gpt.output_vocab]
    prompt[plain] = embed(ids[plain])
    return prompt


def _result(done: Future[Ids]) -> Any:
    error = done.exception()
    if isinstance(error, Exception):
        return failure(error)
    return _answer(done.result())


def _answer(tokens: Ids) -> Any:
    return response({"output_ids": tokens.reshape(1, 1, -1), "sequence_length": np.array([[len(tokens)]], np.int32)})
