"""The parts of `listen`: words and their errors, pitch, recordings, and the recogniser itself."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from bark_client import Speech, Timings
from bark_serving.arrays import Floats
from bark_serving.bundle import Bundle
from bark_serving.errors import UserError
from benchmarks.listen import measure as understanding
from benchmarks.listen import table as table_of
from benchmarks.results import SPEED, Measurement
from reference import recordings
from reference.listener import Heard, Listener, edits, error_rate, pitch, words
from reference.quality import Dnsmos
from reference.recordings import Clip
from tests.benchmarks.made import result
from tests.judges import judge
from tests.speech import speech

RATE = 24_000
MAX_TEACHER_ERRORS = 0.15  #: share of the words in the teacher's recordings


@pytest.fixture(scope="module")
def listener() -> Listener:
    return judge(Listener, without="NO RECOGNISER")


# words


@pytest.mark.parametrize(
    ("said", "heard", "count"),
    [
        ("a b c", "a b c", 0),
        ("a b c", "a x c", 1),
        ("a b c", "a c", 1),
        ("a b c", "a b b c d", 2),
        ("a b c", "", 3),
        ("", "a b", 2),
        ("", "", 0),
        ("a b c d", "b c d a", 2),
    ],
)
def test_an_edit_is_a_word_inserted_deleted_or_replaced(said: str, heard: str, count: int) -> None:
    assert edits(said.split(), heard.split()) == count


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("There were three dogs.", "there were 3 dogs"),
        ("He is twenty-four years old.", "He is 24 years old!"),
        ("It's late, isn't it?", "It is late is not it"),
        ("Hello, World", "hello world"),
    ],
)
def test_spelling_and_punctuation_are_no_word_errors(one: str, other: str) -> None:
    assert words(one) == words(other)
    assert Heard(one, other).errors == 0


def test_the_error_rate_counts_words_and_not_sentences() -> None:
    heard = [
        Heard("She has never been to this town.", "She has never been to this town"),
        Heard("Good morning.", "Good evening everybody."),
    ]
    assert error_rate(heard) == 2 / 9


# pitch


def voiced(hertz: float, *, seconds: float = 1.5, noise: float = 0.1) -> Floats:
    """A tone of ten harmonics, like a voice, with noise. `noise` is its loudness relative to the tone."""
    time = np.arange(int(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * hertz * n * time + n) / n for n in range(1, 11))
    tone = 0.1 * tone / np.std(tone)
    samples: Floats = (tone + noise * 0.1 * np.random.default_rng(0).standard_normal(len(time))).astype(np.float32)
    return samples


@pytest.mark.parametrize("hertz", [90.0, 120.0, 220.0])
@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3])
def test_the_pitch_of_a_voice_is_found_in_noise(hertz: float, noise: float) -> None:
    assert pitch(voiced(hertz, noise=noise), rate=RATE) == pytest.approx(hertz, rel=0.02)


def test_silence_around_a_voice_does_not_matter() -> None:
    samples = np.concatenate([np.zeros(RATE, np.float32), voiced(120.0), np.zeros(RATE, np.float32)])
    assert pitch(samples, rate=RATE) == pytest.approx(120, rel=0.02)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(RATE, np.float32),
        np.zeros(0, np.float32),
        voiced(120.0)[:100],
        0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32),
    ],
    ids=["silence", "nothing", "a moment", "noise"],
)
@pytest.mark.filterwarnings("error")
def test_sound_without_a_voice_has_no_pitch(samples: Floats) -> None:
    assert math.isnan(pitch(samples, rate=RATE))
    assert understanding.pitches([Clip("", samples, RATE)]) == []


# quality


@pytest.fixture(scope="module")
def quality() -> Dnsmos:
    return judge(Dnsmos, without="NO MODEL OF OPINIONS")


def test_noise_lowers_the_quality_of_a_recording(quality: Dnsmos) -> None:
    clips = recordings.by_teacher(recordings.sentences(3))["joe"]
    noise = np.random.default_rng(0).standard_normal(30 * RATE).astype(np.float32)
    for clip in clips:
        clean, quiet, loud = (
            quality(clip.samples + level * noise[: clip.samples.size], rate=clip.rate) for level in (0, 0.01, 0.1)
        )
        assert 3 < clean <= 5
        assert clean > quiet > loud >= 1


def test_the_quality_depends_on_neither_the_length_nor_the_rate_of_a_clip(quality: Dnsmos) -> None:
    [clip] = recordings.by_teacher(recordings.sentences(1))["joe"]
    once = quality(clip.samples, rate=clip.rate)
    assert quality(np.tile(clip.samples, 8), rate=clip.rate) == pytest.approx(once, abs=0.3)
    halved = np.asarray(soxr.resample(clip.samples, clip.rate, 16_000), np.float32)
    assert quality(halved, rate=16_000) == pytest.approx(once, abs=0.05)


def test_nothing_has_no_quality(quality: Dnsmos) -> None:
    assert math.isnan(quality(np.zeros(0, np.float32), rate=RATE))


# recordings


def recorded(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, voiced(120.0), RATE, format="OGG", subtype="VORBIS")
    return folder


def test_recordings_are_found_with_their_texts(tmp_path: Path) -> None:
    folder = recorded(tmp_path, "low/00.ogg", "low/01.ogg", "low/07.ogg", "high/01.ogg")
    found = recordings.by_teacher(["One.", "Two."], folder=folder)
    assert {name: [clip.text for clip in clips] for name, clips in found.items()} == {
        "high": ["Two."],
        "low": ["One.", "Two."],
    }
    assert found["high"][0].samples.shape == (1.5 * RATE,) and found["high"][0].rate == RATE


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no recordings of these sentences"):
        recordings.by_teacher(["One."], folder=recorded(tmp_path, "low/05.ogg"))
    (tmp_path / "low/00.ogg").write_text("no sound")
    with pytest.raises(UserError, match=r"00\.ogg cannot be read"):
        recordings.by_teacher(["One."], folder=tmp_path)


def test_a_request_for_too_many_sentences_is_refused() -> None:
    assert len(set(recordings.sentences(120))) == 120
    with pytest.raises(UserError, match=r"unseen\.txt has 120 sentences; 121"):
        recordings.sentences(121)


def test_the_codec_keeps_the_length_of_a_recording(tiny_bundle: Bundle) -> None:
    clips = {"low": [Clip("One.", voiced(120.0)[:12_345], RATE), Clip("Two.", voiced(120.0)[:16_000], 16_000)]}
    first, second = recordings.through_codec(clips, tiny_bundle)["low"]
    assert (first.text, first.samples.shape, first.rate) == ("One.", (12_345,), RATE)
    assert (second.text, second.samples.shape, second.rate) == ("Two.", (24_000,), RATE)


# the recogniser


SAID = "The north wind and the sun were disputing which was the stronger, "
SAID += "when a traveller came along, wrapped in a warm cloak."


def test_real_speech_is_understood(listener: Listener) -> None:
    heard = Heard(SAID, listener.write_down(speech(rate=RATE)[0], rate=RATE))
    assert error_rate([heard]) < 0.3, heard


def test_noise_and_wrong_words_raise_the_cross_entropy(listener: Listener) -> None:
    clear = speech(rate=RATE)[0]
    noisy = clear + 0.05 * np.random.default_rng(0).standard_normal(len(clear)).astype(np.float32)

    def nats(samples: Floats, text: str = SAID) -> float:
        return listener.cross_entropy(samples, text, rate=RATE)

    one_word_wrong = SAID.replace("traveller", "kangaroo")
    assert 0 < nats(clear) < nats(clear, one_word_wrong) < nats(clear, "Please pass the salt.") <= 6
    assert nats(clear) + 0.2 < nats(noisy)
    assert nats(clear[:0]) == 6


def test_cross_entropies_of_sentences_are_reported_as_their_mean() -> None:
    class Recogniser(Listener):
        def __init__(self) -> None:
            """Loads no recogniser."""

        def cross_entropy(self, samples: Floats, text: str, *, rate: int) -> float:
            return {"One.": 0.1, "Two.": 0.7}[text]

        def write_down(self, samples: Floats, *, rate: int) -> str:
            return "One."

    class Quality(Dnsmos):
        def __init__(self) -> None:
            """Loads no model."""

        def __call__(self, samples: Floats, *, rate: int) -> float:
            return 3.0

    clips = {"low": [Clip("One.", voiced(120.0), RATE)], "high": [Clip("Two.", voiced(200.0), RATE)]}
    judges = understanding.Judges(Recogniser(), Quality())
    found = {m.case: m for m in understanding.judge(clips, "cpu int8", judges) if m.metric == understanding.ENTROPY}
    assert {case: one.median for case, one in found.items()} == {"all": pytest.approx(0.4), "low": 0.1, "high": 0.7}
    assert found["all"].facts == {"sentences": 2, "standard error": pytest.approx(0.3 / 2**0.5)}


@pytest.mark.slow
def test_the_teacher_is_understood(listener: Listener) -> None:
    if not recordings.TEACHER.is_dir():
        pytest.skip(f"{recordings.TEACHER} is missing: the word errors of the teacher were not measured")
    for speaker, clips in recordings.by_teacher(recordings.sentences(20)).items():
        heard = understanding.write_down(clips, listener)
        assert error_rate(heard) < MAX_TEACHER_ERRORS, (speaker, heard)


def test_a_clip_without_samples_is_understood_as_no_words() -> None:
    class NoRecogniser(Listener):
        def __init__(self) -> None:
            """Loads no recogniser, because none is called."""

    [heard] = understanding.write_down([Clip("Two words.", np.zeros(0, np.float32), RATE)], NoRecogniser())
    assert heard.errors == 2


# measurements


def spoken(samples: int = 10, *warnings: str) -> Speech:
    return Speech("One.", np.zeros(samples, np.float32), RATE, 0, Timings(), warnings=warnings)


def test_speech_ended_by_itself_unless_it_was_cut_or_is_empty() -> None:
    assert understanding.ended(spoken()) and understanding.ended(spoken(10, "another matter."))
    assert not understanding.ended(spoken(10, "sentence 1 ('One.') was cut at 8.0 s; split it or try another seed."))
    assert not understanding.ended(spoken(0, "sentence 1 ('One.') ended before it began; try another seed."))


def test_the_table_has_one_row_per_recording_and_variant() -> None:
    def measured(subject: str, case: str, metric: str, value: float) -> Measurement:
        return Measurement(case=case, subject=subject, metric=metric, samples=(value,))

    table = table_of(
        result(
            "listen",
            measured(understanding.TEACHER, "all", understanding.ERRORS, 0.03),
            measured(understanding.TEACHER, "jo", understanding.ERRORS, 0.03),
            measured(understanding.TEACHER, "jo", understanding.PITCH, 115.7),
            measured("cpu int8", "all", understanding.ERRORS, 0.125),
            measured("cpu int8", "all", understanding.ENTROPY, 0.3312),
            measured("cpu int8", "all", understanding.ENDED, 0.99),
            measured("cpu int8", "all", SPEED, 2.5),
            sentences=20,
            endings=100,
        )
    )
    words = ["word errors: all", "word errors: jo"]
    assert table.header == ["", *words, "cross-entropy, nats", "pitch: jo", "end by themselves", "audio s/s"]
    assert table.rows == [
        [understanding.TEACHER, "3.0 %", "3.0 %", "", "116 Hz", "", ""],
        ["cpu int8", "12.5 %", "", "0.331", "", "99.0 %", "2.50"],
    ]
    assert "20 sentences per voice; 100 more" in table.caption
