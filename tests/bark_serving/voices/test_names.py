"""Names of voices: the rule, the language in them, what a wrong one may mean, and whose arrays tell the language."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bark_serving.errors import InvalidRequest
from bark_serving.voices import VoiceLibrary, VoiceStore, check_name, is_name, language_of
from bark_serving.voices.names import similar_names
from reference import suno as oracle
from tests.bark_serving.voices_data import SPEC, arrays

KNOWN = ["announcer", "joe", "v2/en_speaker_0", "v2/en_speaker_1", "v2/en_speaker_10", "v2/joe", "v2/zh_speaker_1"]


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("JOE", "joe"),
        ("Joe", "joe"),
        (" joe ", "joe"),
        ("'joe'", "joe"),
        ("joe.npz", "joe"),
        ("./joe.npz", "joe"),
        ("JOE.NPZ", "joe"),
        ("\N{FULLWIDTH LATIN SMALL LETTER J}oe", "joe"),
        ("v2\\joe", "v2/joe"),
        ("V2/Joe", "v2/joe"),
        ("voices/v2/joe.npz", "joe"),
        ("jo", "joe"),
        ("en_speaker_1", "v2/en_speaker_1"),
        ("en-speaker-1", "v2/en_speaker_1"),
        ("EN speaker 1", "v2/en_speaker_1"),
        ("v2/en_speaker1", "v2/en_speaker_1"),
        ("v3/en_speaker_1", "v2/en_speaker_1"),
        ("v2/en_speakr_10", "v2/en_speaker_10"),
        ("anouncer", "announcer"),
    ],
)
def test_a_wrong_name_is_answered_with_the_one_that_is_meant(name: str, first: str) -> None:
    assert similar_names(name, KNOWN)[0] == first


@pytest.mark.parametrize("name", ["somebody", "", "?", "x" * 10_000, "..", "/", "\N{PILE OF POO}"])
def test_what_is_like_no_name_gets_no_suggestion(name: str) -> None:
    assert similar_names(name, KNOWN) == []


def test_at_most_three_names_are_suggested() -> None:
    assert len(similar_names("speaker", [f"speaker{number}" for number in range(50)])) == 3


@pytest.fixture
def library(tmp_path: Path) -> VoiceLibrary:
    for seed, name in enumerate(("joe", "v2/jack", "v2/en_speaker_1")):
        path = tmp_path / f"bundle/{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **arrays(seed))
    return VoiceLibrary([tmp_path / "bundle"], spec=SPEC, store=VoiceStore(tmp_path / "store"))


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        ("JOE", "there is no voice 'JOE'; did you mean 'joe'? `bark voice list` shows"),
        ("v2\\jack", "on either side of it; did you mean 'v2/jack'? `bark voice list` shows"),
        ("joe.npz", "on either side of it; did you mean 'joe'? `bark voice list` shows"),
        ("en_speaker_1", "there is no voice 'en_speaker_1'; did you mean 'v2/en_speaker_1'? `bark voice list` shows"),
        ("somebody", "there is no voice 'somebody'; `bark voice list` shows"),
    ],
)
def test_every_look_up_names_the_voice_that_is_meant(library: VoiceLibrary, name: str, refusal: str) -> None:
    for look_up in (library.get, library.entry, library.delete, lambda name: library.rename(name, "new")):
        with pytest.raises(InvalidRequest) as caught:
            look_up(name)
        assert refusal in caught.value.args[0]


@pytest.mark.parametrize("name", ["sha256:12", "SHA256:0123456789ab", "sha256:zzzzzzzzzzzz"])
def test_a_hash_that_is_none_is_told_what_a_hash_is(library: VoiceLibrary, name: str) -> None:
    with pytest.raises(InvalidRequest, match="no hash; a hash is sha256: and 12 to 64 digits"):
        library.get(name)


@pytest.mark.parametrize(
    "name",
    ["-", "-joe", "--help", "v2/-joe", "-v2/joe", "con", "NUL", "v2/Aux", "prn/joe", "COM1", "lpt9", "com0", "con/nul"],
)
def test_names_of_options_and_of_windows_devices_are_refused(library: VoiceLibrary, name: str) -> None:
    assert not is_name(name)
    for check in (check_name, library.check, library.get):
        with pytest.raises(InvalidRequest, match=r"no voice name.*(no - at the beginning|choose another name)"):
            check(name)


@pytest.mark.parametrize("name", ["joe-2", "_", "console", "com10", "v2/en_speaker_1", "a/b", "x" * 64, "0"])
def test_names_that_only_look_like_them_are_taken(name: str) -> None:
    assert check_name(name) == name


def test_a_name_states_its_language() -> None:
    assert [language_of(name) for name in ("v2/de_speaker_3", "tr_speaker_0", "announcer")] == ["de", "tr", None]


def test_suno_s_speakers_without_a_language_are_the_chinese_ones() -> None:
    library = VoiceLibrary([oracle.prompts()], spec=SPEC)
    languages = {entry.name: entry.language for entry in library.entries()}
    assert {languages[f"speaker_{number}"] for number in range(10)} == {"zh"}
    assert languages["announcer"] is None
    assert library.entry("speaker_3").language == "zh"


def test_a_copy_has_the_language_of_what_it_was_copied_from(library: VoiceLibrary) -> None:
    assert library.put("mine", library.get("v2/en_speaker_1")).language == "en"
    assert {entry.name: entry.language for entry in library.entries()}["mine"] == "en"
    library.put("de_speaker_1", library.get("v2/en_speaker_1"))
    assert library.entry("mine").language is None, "the names disagree"
    assert library.entry("de_speaker_1").language == "de", "its own name tells"
