"""Voices: Suno's real ones load, anything malformed is refused with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bark_serving.errors import InvalidRequest
from bark_serving.spec import Spec
from bark_serving.voices import VoiceLibrary, voice_from_arrays
from reference import suno as oracle

SPEC = Spec(name="released")


def arrays() -> dict[str, np.ndarray]:
    return {
        "semantic_prompt": np.arange(100),
        "coarse_prompt": np.ones((2, 150), np.int64),
        "fine_prompt": np.ones((8, 150), np.int64),
    }


def test_all_271_voices_of_the_suno_package_load() -> None:
    library = VoiceLibrary([oracle.prompts()], spec=SPEC)
    names = library.names()
    assert len(names) == 271 and {"announcer", "en_speaker_0", "v2/zh_speaker_9"} <= set(names)
    for name in names:
        voice = library.get(name)
        assert voice.coarse.shape[0] == 2 and voice.fine.shape[0] == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"semantic_prompt": np.array([[1]])}, r"shape \[1, 1\]; it must be \[tokens\]"),
        ({"semantic_prompt": np.array([], int)}, "semantic_prompt is empty"),
        ({"semantic_prompt": np.array([10_000])}, r"holds 10000..10000; its tokens must be in 0..9999"),
        ({"semantic_prompt": np.array([0.5])}, "must hold integers"),
        ({"semantic_prompt": np.array([np.inf])}, "must hold integers"),
        ({"semantic_prompt": np.array([1e9])}, "holds 1000000000.0..1000000000.0; its tokens must be in 0..9999"),
        ({"coarse_prompt": np.ones((3, 150), int)}, r"shape \[3, 150\]; it must be \[2, frames\]"),
        ({"coarse_prompt": np.full((2, 150), 1024)}, "must be in 0..1023"),
        ({"coarse_prompt": np.full((2, 150), -1)}, "must be in 0..1023"),
        ({"coarse_prompt": np.ones((2, 300), int)}, "a ratio of 3.00; both must cover the same time, a ratio of 1.5"),
        ({"fine_prompt": np.ones((7, 150), int)}, r"it must be \[8, frames\]"),
        ({"fine_prompt": np.ones((8, 149), int)}, "fine_prompt has 149 frames and coarse_prompt 150; both must have"),
        ({"fine_prompt": np.ones((8, 151), int)}, "fine_prompt has 151 frames and coarse_prompt 150; both must have"),
        ({"fine_prompt": None}, "lacks fine_prompt"),
    ],
)
def test_malformed_arrays_are_refused_with_the_reason(change: dict[str, np.ndarray | None], message: str) -> None:
    broken = {name: array for name, array in {**arrays(), **change}.items() if array is not None}
    with pytest.raises(InvalidRequest, match=rf"{message}.*; clone the voice again, or export it again\.$"):
        voice_from_arrays(broken, spec=SPEC)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_that_are_whole_numbers_are_tokens(dtype: type) -> None:
    floats = {name: array.astype(dtype) for name, array in arrays().items()}
    expected = voice_from_arrays(arrays(), spec=SPEC)
    for name, array in voice_from_arrays(floats, spec=SPEC).arrays.items():
        assert array.dtype == np.int32
        np.testing.assert_array_equal(array, expected.arrays[name])


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b/c", "", "a\\b", "v2/../../x", "x" * 9 + ".npz"])
def test_a_name_that_is_a_path_trick_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="no voice name"):
        VoiceLibrary([tmp_path], spec=SPEC).get(name)


def test_an_unknown_voice_is_refused_with_the_command_that_lists_them(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="bark voice list"):
        VoiceLibrary([tmp_path], spec=SPEC).get("v2/xx_speaker_0")


def test_a_pickled_or_truncated_file_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "evil.npz", semantic_prompt=np.array([object()]), coarse_prompt=0, fine_prompt=0)
    good = tmp_path / "good.npz"
    np.savez(good, **arrays())
    (tmp_path / "cut.npz").write_bytes(good.read_bytes()[:200])
    library = VoiceLibrary([tmp_path], spec=SPEC)
    assert len(library.get("good").semantic) == 100
    for name in ("evil", "cut"):
        with pytest.raises(InvalidRequest, match="cannot be read"):
            library.get(name)


def test_only_the_latest_voices_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        np.savez(tmp_path / f"v{number}.npz", **arrays())
    library = VoiceLibrary([tmp_path], spec=SPEC)
    monkeypatch.setattr("bark_serving.voices.library.MAX_CACHED_BYTES", 2 * library.get("v0").nbytes)
    kept = [library.get(f"v{number}") for number in range(4)]
    assert library.get("v3") is kept[3] and library.get("v0") is not kept[0]


def test_an_earlier_folder_shadows_a_later_one(tmp_path: Path) -> None:
    for folder, value in (("mine", 7), ("theirs", 8)):
        (tmp_path / folder).mkdir()
        np.savez(tmp_path / folder / "a.npz", **{**arrays(), "semantic_prompt": np.full(100, value)})
    library = VoiceLibrary([tmp_path / "mine", tmp_path / "theirs"], spec=SPEC)
    assert library.names() == ["a"] and library.get("a").semantic[0] == 7
