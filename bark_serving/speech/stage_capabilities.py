"""What the stages of one server can do, where profiles differ: data, rendered into the config of ``bark``.

In every profile the GPT stages take the tensors of Triton's ``tensorrtllm`` backend. Where this project's own code
runs them, they take four more (``min_eos_p``, ``hold``, ``first_step`` and ``due``), and every number comes with the
request. A TensorRT-LLM engine takes only the backend's tensors, and the prompt table in the type that it computes in.
The rule that ends speech is built into it, with two numbers. A TensorRT plan of the fine stage takes whole windows
only, and one of the decoder has no state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from bark_serving.arrays import BFLOAT16, Array, Floats
from bark_serving.profiles import Precision, Stage, StageRow
from bark_serving.spec import SamplingSpec

TableType = Literal["FP32", "FP16", "BF16"]

#: The type a TensorRT-LLM engine computes in, by its precision; weight-only int8 computes in float16.
_TABLE_TYPES: Mapping[Precision, TableType] = {"fp16": "FP16", "bf16": "BF16", "int8": "FP16", "fp32": "FP32"}


class BuiltIn(BaseModel):
    """The numbers by which a semantic engine ends speech, whatever a request says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float
    min_eos_p: float


class StageCapabilities(BaseModel):
    """The stages of one server. The defaults are those of the stages that this project's own code runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    own_inputs: bool = True  #: `semantic` takes ``min_eos_p`` and ``first_step``, both take ``hold`` and ``due``
    table_type: TableType = "FP32"  #: of ``prompt_embedding_table``
    built_in: BuiltIn | None = None
    decoder_state: bool = True  #: the decoder goes on from the state of the frames before
    whole_windows: bool = False  #: the fine stage takes no window that is shorter than the checkpoint's
    one_by_one: bool = False  #: the other networks compute the requests of a batch one after the other

    def sampling_defaults(self, sampling: SamplingSpec) -> SamplingSpec:
        """The sampling of a request that says nothing: the checkpoint's, except for what an engine has built in."""
        if self.built_in is None:
            return sampling
        return sampling.model_copy(
            update={"semantic_temperature": self.built_in.temperature, "min_eos_p": self.built_in.min_eos_p}
        )

    def encode_table(self, table: Floats) -> Array:
        """A prompt table in the type that the stage declares; bfloat16 as `BFLOAT16`, rounded to nearest even."""
        if self.table_type == "FP16":
            return table.astype(np.float16)
        if self.table_type == "BF16":
            bits = np.ascontiguousarray(table, np.float32).view(np.uint32)
            rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
            return rounded.astype(np.uint16).view(BFLOAT16)
        return table


def capabilities_of(
    stages: Mapping[Stage, StageRow], *, precision: Precision, constants: Mapping[str, float]
) -> StageCapabilities:
    """What a profile's stages can do; `precision` and `constants` are those of the semantic engine's manifest."""
    fine = stages["fine"]
    whole_windows = fine.plan is not None
    decoder_state = stages["encodec_decode"].plan is None
    if stages["semantic"].backend != "tensorrtllm":
        one_by_one = fine.engine and fine.plan is None
        return StageCapabilities(whole_windows=whole_windows, decoder_state=decoder_state, one_by_one=one_by_one)
    return StageCapabilities(
        own_inputs=False,
        table_type=_TABLE_TYPES[precision],
        built_in=BuiltIn.model_validate(constants),
        whole_windows=whole_windows,
        decoder_state=decoder_state,
    )
