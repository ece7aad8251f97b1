"""What a Bark checkpoint is, in numbers: the schema of a bundle's ``spec.json``.

A *bundle* is a folder with one safetensors file per network, ``tokenizer.json``, optional ``voices/*.npz`` and
``spec.json``. Everything downstream (exporters, servers, tests) reads numbers from here, never from code, so that
Bark large, Bark small and a miniature run through the same code. The defaults in this module are the numbers of
Suno's released checkpoints.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

FORMAT_VERSION = 1

Network = Literal["semantic", "coarse", "fine", "encodec", "hubert"]
#: The stages that decode token by token.
GptStage = Literal["semantic", "coarse"]
NETWORKS: tuple[Network, ...] = ("semantic", "coarse", "fine", "encodec", "hubert")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GptSpec(_Frozen):
    """Sizes of one nanoGPT-style transformer (semantic, coarse, and the body of fine)."""

    layers: int = 24
    heads: int = 16
    width: int = 1024
    block_size: int = 1024
    input_vocab: int
    output_vocab: int
    bias: bool = False

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    @model_validator(mode="after")
    def _heads_divide_width(self) -> GptSpec:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class SemanticSpec(_Frozen):
    """Text tokens → semantic tokens."""

    gpt: GptSpec = GptSpec(input_vocab=129_600, output_vocab=10_048)
    vocab: int = 10_000  #: semantic tokens are 0..vocab-1
    end_token: int = 10_000  #: end of speech; also pads the semantic history
    text_offset: int = 10_048  #: added to a tokenizer id to make an input id
    text_pad: int = 129_595
    infer_token: int = 129_599
    text_context: int = 256  #: how many text tokens, and how many history tokens, a prompt holds
    max_steps: int = 768  #: at most so many tokens are generated
    rate_hz: float = 49.9

    @property
    def prefill(self) -> int:
        """Positions of a prompt: merged text + history, then the infer token."""
        return self.text_context + 1


class CoarseSpec(_Frozen):
    """Semantic tokens → codebooks 0..codebooks-1, flattened frame by frame."""

    gpt: GptSpec = GptSpec(input_vocab=12_096, output_vocab=12_096)
    codebooks: int = 2
    offset: int = 10_000  #: id of code 0 of codebook 0; codebook k starts at offset + k × codebook_size
    semantic_pad: int = 12_048
    infer_token: int = 12_050
    semantic_context: int = 256
    max_history: int = 630  #: a window sees at most so many coarse tokens of history
    window: int = 60  #: coarse tokens generated per window


class FineSpec(_Frozen):
    """Codebooks 0..1 → all codebooks; not causal."""

    gpt: GptSpec = GptSpec(input_vocab=1_056, output_vocab=1_056)
    codebooks_given: int = 1  #: codebook k is predicted by head k - codebooks_given
    tied_heads: bool = True  #: head i has the weights of embedding table i + 1; else the bundle holds the heads too
    pad_token: int = 1_024
    window: int = 1_024  #: frames per pass
    hop: int = 512  #: frames between windows
    max_history: int = 512  #: a window sees at most so many frames of a voice

    @model_serializer(mode="wrap")
    def _untied_only(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave `tied_heads` out where it is true, so that earlier bundles of the same files have the same hash."""
        numbers: dict[str, object] = serialise(self)
        if self.tied_heads:
            numbers.pop("tied_heads", None)
        return numbers


class EncodecSpec(_Frozen):
    """Audio ↔ residual codes (Encodec 24 kHz, causal)."""

    sample_rate: int = 24_000
    codebooks: int = 8
    codebook_size: int = 1_024
    dimension: int = 128
    filters: int = 32
    ratios: tuple[int, ...] = (8, 5, 4, 2)  #: decoder order; the encoder runs them backwards
    kernel: int = 7
    last_kernel: int = 7
    residual_kernel: int = 3
    residual_layers: int = 1
    dilation_growth: int = 2
    compress: int = 2
    lstm_layers: int = 2

    @property
    def samples_per_frame(self) -> int:
        product = 1
        for ratio in self.ratios:
            product *= ratio
        return product

    @property
    def frame_rate_hz(self) -> float:
        return self.sample_rate / self.samples_per_frame


class TokenHeadSpec(_Frozen):
    """HuBERT features → semantic tokens: LSTM → [wide linear →] linear → argmax."""

    version: Literal[0, 1] = 0  #: 1 has the wide intermediate linear
    input_width: int = 768
    hidden: int = 1_024
    layers: int = 2
    intermediate: int = 4_096
    output_vocab: int = 10_000


class HubertSpec(_Frozen):
    """16 kHz audio → semantic tokens at 50 Hz, for voice cloning."""

    sample_rate: int = 16_000
    layers: int = 12
    heads: int = 12
    width: int = 768
    intermediate: int = 3_072
    conv_width: tuple[int, ...] = (512,) * 7
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    position_conv_kernel: int = 128
    position_conv_groups: int = 16
    feature_layer: int = 9  #: the transformer layer whose output the head reads (1 is the first)
    head: TokenHeadSpec = TokenHeadSpec()


class TextSpec(_Frozen):
    """What texts the checkpoint was trained on."""

    #: two letters each; the first one is assumed where nothing tells
    languages: tuple[str, ...] = ("en", "de", "es", "fr", "hi", "it", "ja", "ko", "pl", "pt", "ru", "tr", "zh")
    pace: float = 1.0  #: how much faster it speaks than Bark, whose pace is in `bark_serving.speech.text.pace`
    piece_duration_s: float = 7.0  #: that the parts of a long sentence should have
    spell_numbers: bool = False  #: whether numbers are best written as words; Bark reads digits


class SamplingSpec(_Frozen):
    """The defaults of Bark's own API."""

    semantic_temperature: float = 0.7
    coarse_temperature: float = 0.7
    fine_temperature: float = 0.5
    min_eos_p: float = 0.2


class GuardSpec(_Frozen):
    """From which values on a take of a piece counts as failed: see `bark_serving.speech.guard`.

    The defaults are measured on the miniature by `python -m benchmarks guard`: at most 1 % of the good takes fail.
    """

    min_pace: float = 0.4  #: seconds of speech per expected second
    max_pace: float = 2.0
    slack_s: float = 1.0  #: that may be added to the longest: pauses, and sounds such as [laughs]
    #: share of the semantic tokens that equal the one before; 271 voices of Bark have 0.09 to 0.96
    min_repeats: float = 0.05
    max_repeats: float = 0.75
    max_loop: float = 0.5  #: share of the semantic tokens, without such repeats, that repeat a stretch before them
    loop_s: float = 1.0  #: the longest such stretch
    min_level_dbfs: float = -45.0  #: of the loudest tenth of a second
    min_change_db: float = 4.0  #: how much the bands of the spectrum change over time: below it, it is one tone or hiss


class Source(_Frozen):
    """One of the files that the bundle was made from."""

    file: str
    sha256: str


class Spec(_Frozen):
    """The whole of ``spec.json``."""

    format_version: int = FORMAT_VERSION
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    semantic: SemanticSpec = SemanticSpec()
    coarse: CoarseSpec = CoarseSpec()
    fine: FineSpec = FineSpec()
    encodec: EncodecSpec = EncodecSpec()
    hubert: HubertSpec | None = HubertSpec()
    sampling: SamplingSpec = SamplingSpec()
    text: TextSpec = TextSpec()
    guard: GuardSpec | None = GuardSpec()  #: None: takes are not judged, because random weights only speak noise
    sources: tuple[Source, ...] = ()
    files: dict[str, str] = {}  #: sha256 of every other file of the bundle, by relative path

    @model_serializer(mode="wrap")
    def _unusual_guard_only(self, serialise: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave the default guard out, so that earlier bundles of the same files have the same hash."""
        numbers: dict[str, object] = serialise(self)
        if self.guard == GuardSpec():
            numbers.pop("guard", None)
        return numbers

    def gpt(self, stage: GptStage) -> GptSpec:
        """Sizes of the transformer of one stage."""
        return self.semantic.gpt if stage == "semantic" else self.coarse.gpt

    @property
    def semantic_to_coarse(self) -> float:
        """Coarse tokens (all coarse codebooks) per semantic token: 75 / 49.9 × 2 for the released models."""
        return self.encodec.frame_rate_hz / self.semantic.rate_hz * self.coarse.codebooks
