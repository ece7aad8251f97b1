"""Files that must not become a bundle: truncated, incomplete, of another shape, or something else in their place."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file

from build_engines.checkpoints.importer import Request, import_bundle
from build_engines.errors import SourceError
from tests.build_engines.checkpoints.refusals import refused

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1716868352\n"
HTML = b"<!doctype html>\n<html><head><title>Sign in</title>"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (HTML, "is an HTML page, .* /resolve/"),
        (LFS_POINTER, "is a pointer of Git LFS, .* has 1,716,868,352 bytes. .*git lfs pull"),
        (b"Entry not found", "is a line of text: 'Entry not found'"),
    ],
    ids=["empty", "html", "lfs", "message"],
)
@pytest.mark.parametrize("name", ["text_2.pt", "encodec_24khz-test.th", "vocab.txt"])
def test_what_stands_in_a_file_s_place_is_named(suno: Path, name: str, content: bytes, what: str) -> None:
    if name == "vocab.txt":
        (suno / name).unlink()
        what = what if b"Entry" not in content else r"1 lines without \[UNK\]"
    (suno / name).write_bytes(content)
    refused(suno, rf"{re.escape(name)}:? {what}")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "generation_config.json"])
@pytest.mark.parametrize(("content", "what"), [(HTML, "is an HTML page"), (LFS_POINTER, "is a pointer of Git LFS")])
def test_placeholders_of_transformers_files_are_named(transformers: Path, name: str, content: bytes, what: str) -> None:
    (transformers / name).write_bytes(content)
    refused(transformers, rf"{re.escape(name)} {what}")


def test_a_truncated_safetensors_file_names_the_file(transformers: Path) -> None:
    path = transformers / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    refused(transformers, r"model\.safetensors is truncated or is not a safetensors file")


def change(path: Path, action: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Apply `action` to the state dict of one of Suno's files."""
    checkpoint = torch.load(path, weights_only=False)
    action(checkpoint["model"])
    torch.save(checkpoint, path)


WTE = "transformer.wte.weight"


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            lambda state: state.pop("transformer.h.1.mlp.c_fc.weight"),
            r"text_2\.pt: semantic lacks tensor layers\.1\.mlp\.up\.weight \[128, 32\]",
        ),
        (
            lambda state: state.update({"transformer.h.0.attn.rotary": torch.zeros(3)}),
            r"text_2\.pt: tensor transformer\.h\.0\.attn\.rotary \[3\] is not expected",
        ),
        (
            lambda state: state.update({"transformer.h.2.ln_1.weight": torch.zeros(32)}),
            r"text_2\.pt: semantic has tensor layers\.2\.attention_norm\.weight \[32\], which is not expected",
        ),
        (
            lambda state: state.update({"lm_head.weight": torch.zeros(10_000, 32)}),
            r"text_2\.pt: semantic tensor head\.weight has shape \[10000, 32\], expected \[10048, 32\]",
        ),
        (
            lambda state: state["transformer.ln_f.weight"].__setitem__(3, float("nan")),
            r"text_2\.pt: semantic tensor norm\.weight holds values that are not finite",
        ),
        (
            lambda state: state.update({WTE: state[WTE].int()}),
            r"text_2\.pt: semantic tensor token_embedding\.weight is torch\.int32, expected floats",
        ),
        (
            lambda state: state.update({WTE: "weights"}),
            r"text_2\.pt: transformer\.wte\.weight is str, expected a tensor",
        ),
    ],
    ids=["missing", "unknown", "extra layer", "shape", "not finite", "integers", "no tensor"],
)
def test_a_wrong_tensor_is_named_with_what_was_expected(
    suno: Path, action: Callable[[dict[str, torch.Tensor]], None], message: str
) -> None:
    change(suno / "text_2.pt", action)
    refused(suno, message)


def test_untied_heads_of_which_one_is_missing_are_refused(suno: Path) -> None:
    def one_trained_one_gone(state: dict[str, torch.Tensor]) -> None:
        state["lm_heads.3.weight"] = torch.zeros(1_056, 32)
        del state["lm_heads.5.weight"]

    change(suno / "fine_2.pt", one_trained_one_gone)
    refused(suno, r"fine_2\.pt: lm_heads\.3 differs from the embedding of codebook 4, .* lm_heads\.5 is missing")


def test_an_untied_head_of_another_shape_is_named(suno: Path) -> None:
    change(suno / "fine_2.pt", lambda state: state.update({"lm_heads.3.weight": torch.zeros(1_000, 32)}))
    refused(suno, r"fine_2\.pt: heads 3 has shape \[1000, 32\], expected \[1056, 32\]")


def test_a_state_dict_of_something_else_in_transformers_format_is_refused(transformers: Path) -> None:
    tensors = load_file(transformers / "model.safetensors")
    save_file({**tensors, "vocoder.weight": torch.zeros(2)}, transformers / "model.safetensors")
    refused(transformers, r"model\.safetensors: tensor vocoder\.weight \[2\] is not expected")


def test_broken_json_names_the_file(transformers: Path) -> None:
    (transformers / "generation_config.json").write_text('{"semantic_config": ')
    refused(transformers, r"generation_config\.json cannot be read as JSON")


def test_an_index_that_leads_out_of_the_folder_is_refused(transformers: Path) -> None:
    (transformers / "model.safetensors").unlink()
    (transformers / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../secret.safetensors"}}')
    refused(transformers, r"the shard '\.\./secret\.safetensors' is not a plain file name")


def test_the_error_for_a_folder_without_a_checkpoint_names_the_files(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", r"holds no Bark checkpoint\. Expected config\.json .* text_2\.pt")


@pytest.mark.parametrize(
    "source",
    ["./no-such-folder", "no-such-folder", "no/such/folder", "no/such/", "no such/folder", "no/such.pt", "~/no"],
)
def test_a_missing_folder_is_named_without_asking_the_hub(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub, "HfApi", None)  # asking would raise TypeError
    with pytest.raises(SourceError, match=f"there is no file or folder {source}") as caught:
        import_bundle(Request(source), tmp_path / "bundle")
    assert "OWNER/NAME" in caught.value.remedy
