"""How a server's stages are spoken to, where profiles differ: data, rendered into the config of ``bark``.

In every profile the GPT stages take the tensors of Triton's ``tensorrtllm`` backend. Where this project runs them they
take a few more (`OWN_INPUTS`), and every number comes with the request. A TensorRT-LLM engine takes no more than that,
wants the prompt table in its own type, and has the rule that ends speech built in, with its two numbers. A TensorRT
plan of the fine stage takes whole windows only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from bark_serving.arrays import BFLOAT16, Array, Floats
from bark_serving.errors import InvalidRequest
from bark_serving.profiles import Precision, Stage, StageRow
from bark_serving.spec import Spec
from bark_serving.speech.request import SpeechRequest

#: Inputs of the stages that are this project's own.
OWN_INPUTS = frozenset({"min_eos_p", "keep"})

TableType = Literal["FP32", "FP16", "BF16"]

#: The type a TensorRT-LLM engine computes in, by its precision; weight-only int8 computes in float16.
_TABLE_TYPES: Mapping[Precision, TableType] = {"fp16": "FP16", "bf16": "BF16", "int8": "FP16", "fp32": "FP32"}


class BuiltIn(BaseModel):
    """What a semantic engine ends speech by, whatever a request says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float
    min_eos_p: float


class StageInterface(BaseModel):
    """The stages of one server. The defaults are those of the stages that this project runs itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    own_inputs: bool = True  #: the stages take `OWN_INPUTS`
    table: TableType = "FP32"  #: of ``prompt_embedding_table``
    built_in: BuiltIn | None = None
    whole_windows: bool = False  #: the fine stage takes none that is shorter

    def defaults(self, spec: Spec) -> Spec:
        """`spec` with what this server does when a request says nothing."""
        if self.built_in is None:
            return spec
        update = {"semantic_temperature": self.built_in.temperature, "min_eos_p": self.built_in.min_eos_p}
        return spec.model_copy(update={"sampling": spec.sampling.model_copy(update=update)})

    def check(self, request: SpeechRequest) -> None:
        """Raises `InvalidRequest` for what the engines cannot do."""
        fixed = self.built_in
        if fixed is not None and not np.isclose(request.min_eos_p, fixed.min_eos_p, rtol=1e-6):
            raise InvalidRequest(
                f"min_eos_p {request.min_eos_p:.4g} differs from the {fixed.min_eos_p:.4g} that is built into this "
                "server's engine: leave it out, or build another engine."
            )
        if self.whole_windows and not request.fine_padding:
            raise InvalidRequest(
                "fine_padding cannot be turned off here: this server's plan of the fine stage takes whole windows "
                "only. Leave it out."
            )

    def warnings(self, request: SpeechRequest) -> Sequence[str]:
        """What of a request this server does slightly differently from Bark's own code, one sentence each."""
        fixed = self.built_in
        if fixed is None:
            return []
        said = []
        exact = np.isclose(request.semantic_temperature, fixed.temperature, rtol=1e-6)
        if not exact or request.top_k or request.top_p < 1:
            said.append(
                f"this server's engine takes the probability of the end of speech at temperature {fixed.temperature:g} "
                "and over all tokens, so speech may end a little earlier or later than asked for."
            )
        if request.top_p < 1:
            said.append("this server applies top_p after the temperature; Bark's own code applies it before.")
        return said

    def encode_table(self, table: Floats) -> Array:
        """A prompt table in the type that the stage declares; bfloat16 as `BFLOAT16`, rounded to nearest even."""
        if self.table == "FP16":
            return table.astype(np.float16)
        if self.table == "BF16":
            bits = np.ascontiguousarray(table, np.float32).view(np.uint32)
            rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
            return rounded.astype(np.uint16).view(BFLOAT16)
        return table

    def accepted(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The inputs that the stages declare."""
        return {name: array for name, array in inputs.items() if self.own_inputs or name not in OWN_INPUTS}


def interface_of(
    stages: Mapping[Stage, StageRow], *, precision: Precision, constants: Mapping[str, float]
) -> StageInterface:
    """The interface of a profile's stages; `precision` and `constants` are those of the semantic engine's manifest."""
    whole_windows = stages["fine"].plan is not None
    if stages["semantic"].backend != "tensorrtllm":
        return StageInterface(whole_windows=whole_windows)
    return StageInterface(
        own_inputs=False,
        table=_TABLE_TYPES[precision],
        built_in=BuiltIn.model_validate(constants),
        whole_windows=whole_windows,
    )
