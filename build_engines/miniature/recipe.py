"""All numbers of the miniature: sizes of its networks, speakers, data, lengths of training, seed."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bark_serving.spec import (
    CoarseSpec,
    EncodecSpec,
    FineSpec,
    GptSpec,
    GuardSpec,
    HubertSpec,
    SamplingSpec,
    SemanticSpec,
    Spec,
    TextSpec,
    TokenHeadSpec,
)

#: What is trained. `fine_expected` is the fine network's second training, on the codes that it expects.
Trained = Literal["codec", "hubert", "semantic", "coarse", "fine", "fine_expected"]
#: Cells per second. One cell is 3 frames of the codec (75 Hz) and 2 semantic tokens (50 Hz). Clips are whole cells.
GRID_HZ = 25
UNITS_PER_CELL = 2
# fmt: off
#: The teacher's English in IPA, each phone with its stress and length. The first ones are pauses.
PHONES = (
    " ", "!", ",", ".", "?", "a", "b", "d", "e", "f", "h", "i", "iː", "j", "k", "l", "m", "n", "n̩", "o", "oː",
    "p", "s", "t", "uː", "v", "w", "z", "æ", "ð", "ŋ", "ɐ", "ɑː", "ɔ", "ɔː", "ə", "ɚ", "ɛ", "ɜː", "ɡ", "ɪ", "ɹ",
    "ɾ", "ʃ", "ʊ", "ʌ", "ʒ", "ʔ", "ˈa", "ˈe", "ˈi", "ˈiː", "ˈo", "ˈoː", "ˈuː", "ˈæ", "ˈɑː", "ˈɔ", "ˈɔː", "ˈɛ",
    "ˈɜː", "ˈɪ", "ˈʊ", "ˈʌ", "ˌa", "ˌe", "ˌiː", "ˌo", "ˌoː", "ˌuː", "ˌæ", "ˌɐ", "ˌɑː", "ˌɔ", "ˌɔː", "ˌɛ", "ˌɜː",
    "ˌɪ", "ˌʊ", "ˌʌ", "θ", "ᵻ",
)
# fmt: on


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Speaker(_Frozen):
    """The teacher's voice at another pitch: it speaks `pitch` times slower, and is played `pitch` times faster."""

    name: str
    pitch: float


class Schedule(_Frozen):
    """How long and how fast a network learns."""

    steps: int
    batch: int  #: clips or windows per step
    rate: float  #: the highest learning rate, which is reached at the end of the warm-up
    warmup: int = 200  #: steps


class Recipe(_Frozen):
    """How the miniature is made. The same recipe on the same machine gives the same bundle."""

    name: str = "bark-miniature"
    seed: int = 0
    speakers: tuple[Speaker, ...] = (Speaker(name="joe", pitch=1.0), Speaker(name="jo", pitch=1.3))
    drawn: int = 7_800  #: sentences made from templates, in addition to those written by hand
    timed: int = 28_000  #: sentences with other words in them, of which the semantic network learns the times only
    pace: float = 1.1  #: the teacher's length scale; above 1 is slower than usual
    longest: float = 7.0  #: seconds; longer recordings are left out
    phones: tuple[str, ...] = PHONES
    phone_parts: int = 3  #: of a phone; each part is a semantic token
    codec_seconds: float = 0.64  #: of audio in one training example of the codec
    expected: int = 1_400  #: recordings whose expected codes the fine network learns
    spec: Spec | None = None  #: of the networks; None: what `spec_for` returns
    codec: Schedule = Schedule(steps=6_500, batch=12, rate=1e-3)
    hubert: Schedule = Schedule(steps=2_000, batch=12, rate=1e-3)
    semantic: Schedule = Schedule(steps=6_000, batch=24, rate=1e-3)
    coarse: Schedule = Schedule(steps=5_100, batch=16, rate=1e-3)
    fine: Schedule = Schedule(steps=2_200, batch=16, rate=1e-3)
    fine_expected: Schedule = Schedule(steps=500, batch=16, rate=5e-4, warmup=30)

    @property
    def units(self) -> int:
        """Number of different semantic tokens."""
        return self.phone_parts * len(self.phones)

    def schedule(self, network: Trained) -> Schedule:
        return {
            "codec": self.codec,
            "hubert": self.hubert,
            "semantic": self.semantic,
            "coarse": self.coarse,
            "fine": self.fine,
            "fine_expected": self.fine_expected,
        }[network]


def spec_for(recipe: Recipe, *, tokens: int) -> Spec:
    """The miniature's spec: Bark's with smaller numbers. `tokens` is the size of the tokenizer."""
    units = recipe.units
    outputs = _eights(units + 8)
    inputs = outputs + _eights(tokens + 8)
    codec = EncodecSpec(filters=16, dimension=64, lstm_layers=1)
    codes = _eights(units + 2 * codec.codebook_size + 8)
    return Spec(
        name=recipe.name,
        semantic=SemanticSpec(
            gpt=GptSpec(layers=4, heads=4, width=256, block_size=512, input_vocab=inputs, output_vocab=outputs),
            vocab=units,
            end_token=units,
            text_offset=outputs,
            text_pad=inputs - 2,
            infer_token=inputs - 1,
            text_context=80,
            max_steps=400,
            rate_hz=2.0 * GRID_HZ,
        ),
        coarse=CoarseSpec(
            gpt=GptSpec(layers=4, heads=4, width=192, block_size=512, input_vocab=codes, output_vocab=codes),
            offset=units,
            semantic_pad=codes - 2,
            infer_token=codes - 1,
            semantic_context=128,
            max_history=300,
            window=60,
        ),
        fine=FineSpec(
            gpt=GptSpec(layers=3, heads=4, width=192, block_size=384, input_vocab=1_056, output_vocab=1_056),
            window=384,
            hop=192,
            max_history=192,
        ),
        encodec=codec,
        hubert=HubertSpec(
            layers=3,
            heads=4,
            width=128,
            intermediate=512,
            conv_width=(64,) * 7,
            position_conv_kernel=32,
            position_conv_groups=8,
            feature_layer=3,
            head=TokenHeadSpec(input_width=128, hidden=128, layers=1, output_vocab=units),
        ),
        sampling=SamplingSpec(semantic_temperature=0.05, coarse_temperature=0.05, fine_temperature=0.5),
        text=TextSpec(languages=("en",), pace=1.4, piece_duration_s=2.0, spell_numbers=True),
        guard=GuardSpec(min_pace=0.6, max_pace=1.6, slack_s=0.5, min_repeats=0.08, min_change_db=5.0),
    )


def _eights(size: int) -> int:
    """The size of a vocabulary, rounded up to a multiple of 8."""
    return math.ceil(size / 8) * 8
