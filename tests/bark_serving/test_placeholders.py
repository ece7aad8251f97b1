"""What stands where a file of a checkpoint, a bundle or a voice is expected."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save as save_safetensors

from bark_serving.bundle import SPEC_FILE, TOKENIZER_FILE, Bundle, BundleError, Vocabulary
from bark_serving.errors import InvalidRequest
from bark_serving.placeholders import placeholder, placeholder_of
from bark_serving.spec import Spec
from bark_serving.voices import files

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 1716868352\n"
STAND_INS = [
    (b"", "is empty"),
    (b"<!DOCTYPE html><html>", "is an HTML page"),
    (b"\xef\xbb\xbf\n <!-- cached -->\n<HTML lang='en'>", "is an HTML page"),
    (POINTER, "is a pointer of Git LFS"),
    (b"/annex/objects/SHA256E-s100--abc.pt\n", "is a pointer of git-annex"),
    (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "is an XML document"),
]
EVERY = [*STAND_INS, (b"Entry not found", "is a line of text: 'Entry not found'")]


@pytest.mark.parametrize(("content", "problem"), EVERY)
def test_a_placeholder_is_named_as_what_it_is(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "file").write_bytes(content)
    found = placeholder(tmp_path / "file")
    assert found and found.problem.startswith(problem) and found.remedy.endswith(".")


def test_the_size_of_the_file_that_a_pointer_means_is_said() -> None:
    found = placeholder_of(POINTER)
    assert found and "The file itself has 1,716,868,352 bytes." in found.problem


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"\x80\x02}q\x00.", b"\x93NUMPY\x01\x00", b"\x00" * 100, b"12"])
def test_the_beginnings_of_real_files_are_no_placeholders(content: bytes) -> None:
    assert placeholder_of(content) is None


def test_files_of_safetensors_json_and_words_are_no_placeholders(tmp_path: Path) -> None:
    assert placeholder_of(save_safetensors({"a": np.ones(1, np.float32)})) is None
    assert placeholder_of(b'{"model_type": "bark"}', text=True) is None
    assert placeholder_of(b"[PAD]\n[UNK]\n", text=True) is None
    assert placeholder(tmp_path / "none") is None


@pytest.mark.parametrize(("content", "problem"), STAND_INS)
def test_every_reader_of_a_bundle_names_them(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / SPEC_FILE).write_bytes(content)
    with pytest.raises(BundleError, match=f"{SPEC_FILE} {problem}"):
        Bundle(tmp_path)
    (tmp_path / SPEC_FILE).write_text(Spec(name="test").model_dump_json())
    (tmp_path / "semantic.safetensors").write_bytes(content)
    with pytest.raises(BundleError, match=rf"semantic\.safetensors {problem}"):
        Bundle(tmp_path).weights("semantic")
    (tmp_path / TOKENIZER_FILE).write_bytes(content)
    with pytest.raises(BundleError, match=rf"tokenizer\.json {problem}"):
        Vocabulary(tmp_path / TOKENIZER_FILE)


@pytest.mark.parametrize(("content", "problem"), EVERY)
def test_a_voice_that_is_a_placeholder_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "me.npz").write_bytes(content)
    refusal = pytest.raises(InvalidRequest, match=f"'me' cannot be read: it {problem}")
    with (tmp_path / "me.npz").open("rb") as file, refusal:
        files.read(file, name="me", spec=Spec(name="test"))


def test_a_flipped_byte_in_a_voice_is_refused_by_its_own_sum(tmp_path: Path) -> None:
    spec, buffer = Spec(name="test"), io.BytesIO()
    codes = np.full((8, 150), 7, np.int32)
    np.savez(buffer, semantic_prompt=np.full(100, 7, np.int32), coarse_prompt=codes[:2], fine_prompt=codes)
    content = bytearray(buffer.getvalue())
    path = tmp_path / "me.npz"
    path.write_bytes(content)
    with path.open("rb") as file:
        files.read(file, name="me", spec=spec)
    content[content.index(codes.tobytes()[:64]) + 32] ^= 1
    path.write_bytes(content)
    with path.open("rb") as file, pytest.raises(InvalidRequest, match="voice 'me' cannot be read"):
        files.read(file, name="me", spec=spec)
