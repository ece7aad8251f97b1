"""`listen` on a bundle of random weights, whose speech is noise."""

from __future__ import annotations

import shutil
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from bark_serving.bundle import Bundle
from benchmarks.cli import app
from benchmarks.results import SPEED
from reference.listener import Listener
from tests.benchmarks.commands import common, run
from tests.speech import speech


@pytest.fixture
def with_a_voice(tiny_bundle: Bundle, tmp_path: Path) -> Bundle:
    """A tiny bundle of random weights, whose speech ends by itself, with a voice called low."""
    folder = tmp_path / "bundle"
    shutil.copytree(tiny_bundle.folder, folder)
    codes = np.ones((8, 150), np.int32)
    (folder / "voices").mkdir(exist_ok=True)
    np.savez(
        folder / "voices/low.npz",
        semantic_prompt=np.arange(100, dtype=np.int32),
        coarse_prompt=codes[:2],
        fine_prompt=codes,
    )
    return Bundle(folder)


class OneTry(Listener):
    """The recogniser, once per clip. It would try noise, which has no words, five times more."""

    def __init__(self, **options: int) -> None:
        super().__init__(**options)
        self._model.transcribe = partial(self._model.transcribe, temperature=0.0)


@pytest.mark.slow
def test_listen_transcribes_recordings_and_variants(
    with_a_voice: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("faster_whisper", reason="listen needs the bench extra: pip install -e '.[bench]'")
    monkeypatch.setattr(import_module("benchmarks.listen.command"), "Listener", OneTry)
    teacher = tmp_path / "teacher/low"
    teacher.mkdir(parents=True)
    soundfile.write(teacher / "00.ogg", speech(rate=24_000, seconds=2)[0], 24_000, format="OGG", subtype="VORBIS")
    options = [*common(with_a_voice), "--sentences", "2", "--endings", "2", "--recordings", str(teacher.parent)]
    chosen = ["--variant", "cpu int8", "--variant", "cpu int8, long windows"]
    result = run(tmp_path / "listen.json", "listen", *options, *chosen)
    teachers = ["teacher's recordings", "recordings through the codec"]
    teachers += ["recordings' coarse tokens", "recordings' semantic tokens"]
    assert result.subjects("word errors") == [*teachers, *chosen[1::2]]
    assert set(result.cases("word errors")) == {"all", "low", "no voice"}
    for name in chosen[1::2]:
        ended = result.find(case="all", subject=name, metric="ended by themselves")
        speed = result.find(case="all", subject=name, metric=SPEED)
        assert ended is not None and 0 <= ended.median <= 1 and ended.facts["sentences"] == 2
        assert speed is not None and len(speed.samples) == 4
    for name in result.subjects("word errors"):
        quality = result.find(case="all", subject=name, metric="quality")
        assert quality is not None and 1 <= quality.low <= quality.high <= 5
    assert "There are recordings of 1 of the 2 sentences." in result.notes
    pitch = result.find(case="low", subject=teachers[0], metric="pitch")
    assert pitch is not None and 60 < pitch.median < 400


def test_listen_refuses_missing_sentences_and_recordings_before_it_builds_engines(
    endless: Bundle, tmp_path: Path
) -> None:
    pytest.importorskip("faster_whisper", reason="listen needs the bench extra: pip install -e '.[bench]'")
    many = CliRunner().invoke(app, ["listen", *common(endless), "--sentences", "1000"])
    assert many.exit_code == 1 and "has 120 sentences; 1100 were asked for" in many.output
    options = ["--variant", "cpu int8", "--recordings", str(tmp_path)]
    none = CliRunner().invoke(app, ["listen", *common(endless), "--engines", str(tmp_path / "engines"), *options])
    assert not (tmp_path / "engines").exists()
    assert none.exit_code == 1 and "has no recordings of these sentences" in " ".join(none.output.split())
