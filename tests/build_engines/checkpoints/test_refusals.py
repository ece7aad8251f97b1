"""Files that must not become a bundle: hostile, truncated, incomplete, or of another shape."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models

from bark_serving.bundle import MINIATURE, Bundle
from bark_serving.spec import Spec
from build_engines.bundles.tokenizers import check_coverage, check_tokenizer, read_tokenizer
from build_engines.checkpoints.formats import hubert_fairseq
from build_engines.checkpoints.formats.config import check_numbers
from build_engines.checkpoints.formats.pickles import Inert, find, load_pickle
from build_engines.checkpoints.formats.suno import read_semantic
from build_engines.checkpoints.importer import Request, import_bundle
from build_engines.errors import BuildError, CheckpointError, SourceError
from tests.build_engines.checkpoints import formats


class Hostile:
    """An object that runs a command when pickle loads it. The command makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


@pytest.fixture
def suno(suno_folder: Path, vocabulary: Path, tmp_path: Path) -> Path:
    """A copy of Suno's checkpoint to be damaged."""
    folder = tmp_path / "suno"
    shutil.copytree(suno_folder, folder)
    (folder / "vocab.txt").symlink_to(vocabulary)
    return folder


@pytest.fixture
def transformers(bark_folder: Path, tmp_path: Path) -> Path:
    """A copy of transformers' checkpoint to be damaged."""
    folder = tmp_path / "transformers"
    shutil.copytree(bark_folder, folder)
    return folder


def refused(folder: Path, match: str) -> None:
    """Importing `folder` fails with a message that matches, and leaves nothing behind."""
    out = folder.parent / "out" / "bundle"
    with pytest.raises(BuildError, match=match):
        import_bundle(Request(str(folder)), out)
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_pickle_that_runs_a_command_is_refused_and_runs_nothing(suno: Path, tmp_path: Path, zipped: bool) -> None:
    checkpoint = torch.load(suno / "text_2.pt", weights_only=False)
    torch.save(
        {**checkpoint, "best_val_loss": Hostile(tmp_path / "run")},
        suno / "text_2.pt",
        _use_new_zipfile_serialization=zipped,
    )
    refused(suno, r"text_2\.pt names (posix|nt|os)\.system, which no checkpoint .* nothing was run")
    assert not (tmp_path / "run").exists()


def test_a_bare_pickle_that_runs_a_command_is_refused_too(suno: Path, tmp_path: Path) -> None:
    (suno / "encodec_24khz-test.th").write_bytes(pickle.dumps(Hostile(tmp_path / "run")))
    refused(suno, r"encodec_24khz-test\.th ")
    assert not (tmp_path / "run").exists()


def test_names_of_inert_packages_are_never_imported(tmp_path: Path) -> None:
    """Suno's files may name objects of `numpy`, but these are not called."""
    call = b"\x80\x02cnumpy.testing\nassert_equal\nK\x01K\x02\x86R."
    archive = tmp_path / "file.pt"
    torch.save({}, archive)
    rewrite_pickle(archive, call)
    loaded = load_pickle(archive, inert=("numpy",))
    assert isinstance(loaded, Inert)
    assert loaded.arguments == (1, 2)
    with pytest.raises(CheckpointError, match=r"names numpy\.testing\.assert_equal"):
        load_pickle(archive)


@pytest.mark.parametrize(
    "content", [b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x00+\x85R.", b"\x80\x02c__builtin__\ngetattr\n."]
)
def test_a_fairseq_file_may_name_types_but_no_function(tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "file.pt"
    torch.save({}, archive)
    rewrite_pickle(archive, content)
    with pytest.raises(CheckpointError, match=r"names (eval|getattr), which no checkpoint .* nothing was run"):
        load_pickle(archive, inert=hubert_fairseq.INERT)


def test_types_that_a_fairseq_file_names_are_not_called(tmp_path: Path) -> None:
    archive = tmp_path / "file.pt"
    torch.save({}, archive)
    rewrite_pickle(archive, b"\x80\x02c__builtin__\ntype\nN\x85R.")
    loaded = load_pickle(archive, inert=hubert_fairseq.INERT)
    assert isinstance(loaded, Inert)
    assert loaded.arguments == (None,)


def rewrite_pickle(path: Path, content: bytes) -> None:
    """Replace the pickle in a file of torch.save."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in records.items():
            archive.writestr(name, content if name.endswith("data.pkl") else data)


@pytest.mark.parametrize("keep", [0.001, 0.5, 0.999], ids=["start", "half", "most"])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_truncated_pickle_names_the_file(suno: Path, keep: float, zipped: bool) -> None:
    path = suno / "coarse_2.pt"
    checkpoint = torch.load(path, weights_only=False)
    torch.save({**checkpoint, "best_val_loss": 1.0}, path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    refused(suno, r"coarse_2\.pt is truncated or is not a file of torch\.save")


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
def test_stand_ins_of_transformers_files_are_named(transformers: Path, name: str, content: bytes, what: str) -> None:
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


def test_missing_or_invalid_model_args_are_named(suno: Path) -> None:
    path = suno / "text_2.pt"
    checkpoint = torch.load(path, weights_only=False)
    for arguments, message in (
        ({**checkpoint["model_args"], "n_head": "two"}, r"text_2\.pt: model_args\.n_head is 'two'"),
        ({**checkpoint["model_args"], "n_head": 3}, r"text_2\.pt: model_args: .*32 is not a multiple of heads 3"),
        (None, r"text_2\.pt: there is no model_args"),
    ):
        torch.save({**checkpoint, "model_args": arguments}, path)
        refused(suno, message)


def test_numpy_s_numbers_in_model_args_are_read(suno: Path, tmp_path: Path) -> None:
    path = suno / "text_2.pt"
    checkpoint = torch.load(path, weights_only=False)
    kinds = (np.int64, np.int32, np.dtype(">i8").type)
    arguments = {
        key: kinds[place % 3](value) if isinstance(value, int) and not isinstance(value, bool) else np.bool_(value)
        for place, (key, value) in enumerate(checkpoint["model_args"].items())
    }
    plain = read_semantic(path).spec
    torch.save({**checkpoint, "model_args": arguments}, path)
    assert read_semantic(path).spec == plain


@pytest.mark.parametrize("value", [np.float64(2.0), np.arange(2), True, np.int64(-1)])
def test_what_is_no_whole_number_in_model_args_is_refused(suno: Path, value: Any) -> None:
    path = suno / "text_2.pt"
    checkpoint = torch.load(path, weights_only=False)
    torch.save({**checkpoint, "model_args": {**checkpoint["model_args"], "n_head": value}}, path)
    with pytest.raises(CheckpointError, match=r"model_args\.n_head is .*, expected a positive whole number"):
        read_semantic(path)


@pytest.mark.parametrize(
    ("stage", "numbers", "message"),
    [
        ("semantic", {"end_token": 9_999}, r"semantic\.end_token is 9999, which is the number of a code; .*10000"),
        ("semantic", {"infer_token": 12}, r"semantic\.infer_token is 12, which is the number of a code"),
        ("semantic", {"text_offset": 100}, r"semantic\.text_offset is 100, which is the number of a code"),
        ("coarse", {"semantic_pad": 12_047}, r"coarse\.semantic_pad is 12047, .* at least 12048"),
        ("coarse", {"infer_token": 10_001}, r"coarse\.infer_token is 10001, which is the number of a code"),
        ("fine", {"pad_token": 1_023}, r"fine\.pad_token is 1023, .* at least 1024"),
    ],
)
def test_special_tokens_among_codes_are_refused(stage: str, numbers: dict[str, int], message: str) -> None:
    spec = Spec(name="test")
    check_numbers(spec)
    changed = getattr(spec, stage).model_copy(update=numbers)
    with pytest.raises(CheckpointError, match=message):
        check_numbers(spec.model_copy(update={stage: changed}))


def test_a_token_head_of_another_vocabulary_is_refused() -> None:
    spec = Spec(name="test")
    assert spec.hubert
    head = spec.hubert.head.model_copy(update={"output_vocab": 10_003})
    with pytest.raises(CheckpointError, match=r"the token head makes 10003 different tokens, .* has 10000"):
        check_numbers(spec.model_copy(update={"hubert": spec.hubert.model_copy(update={"head": head})}))


def test_the_miniature_s_numbers_pass_the_checks() -> None:
    check_numbers(Bundle(MINIATURE).spec)


def test_files_of_different_models_are_refused_by_their_numbers(suno: Path) -> None:
    formats.save_suno(suno / "text_2.pt", input_vocab_size=20_000, output_vocab_size=10_048)
    refused(suno, r"semantic\.text_pad is 129595, the limit is 19999")


def test_a_state_dict_of_something_else_in_transformers_format_is_refused(transformers: Path) -> None:
    tensors = load_file(transformers / "model.safetensors")
    save_file({**tensors, "vocoder.weight": torch.zeros(2)}, transformers / "model.safetensors")
    refused(transformers, r"model\.safetensors: tensor vocoder\.weight \[2\] is not expected")


@pytest.mark.parametrize(
    ("change_to", "message"),
    [
        ({"codec_config": {"use_causal_conv": False}}, r"use_causal_conv is False; only True is supported"),
        ({"semantic_config": {"num_heads": 5}}, r"config\.json: semantic_config: .*not a multiple of heads 5"),
        ({"coarse_acoustics_config": {"hidden_size": 64}}, r"coarse tensor .* has shape .*32.*, expected .*64"),
        ({"fine_acoustics_config": {"n_codes_total": 9}}, r"embeddings 8 of 9 is missing"),
    ],
)
def test_a_config_that_fits_neither_weights_nor_our_networks_is_named(
    transformers: Path, change_to: dict[str, dict[str, Any]], message: str
) -> None:
    path = transformers / "config.json"
    config = json.loads(path.read_text())
    for key, values in change_to.items():
        config[key] |= values
    path.write_text(json.dumps(config))
    refused(transformers, message)


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


def test_a_file_that_is_not_a_tokenizer_is_named(transformers: Path) -> None:
    (transformers / "vocab.txt").unlink()
    (transformers / "tokenizer.json").write_text("{}")
    refused(transformers, r"tokenizer\.json is not a tokenizer of the tokenizers library")
    (transformers / "tokenizer.json").unlink()
    (transformers / "vocab.txt").write_text("a\nb\n")
    refused(transformers, r"vocab\.txt: 2 lines without \[UNK\]")


def five_words() -> str:
    """What transformers 5.23 saves after BertTokenizerFast(vocab_file=…)."""
    tokens = {word: index for index, word in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"))}
    return str(Tokenizer(models.WordPiece(tokens, unk_token="[UNK]")).to_str())


def test_a_tokenizer_of_five_words_is_refused(transformers: Path) -> None:
    (transformers / "tokenizer.json").write_text(five_words())
    refused(transformers, r"tokenizer\.json: the tokenizer has 5 entries, .* trained on \d+ text ids .*--tokenizer")


def wordpiece(entries: int) -> Tokenizer:
    return Tokenizer(models.WordPiece({"[UNK]": 0, **{f"w{i}": i for i in range(1, entries)}}, unk_token="[UNK]"))


@pytest.mark.parametrize(
    ("entries", "covered"), [(119_547, True), (119_547 - 128, True), (107_593, True), (105_879, False), (28_996, False)]
)
def test_a_few_ids_of_barks_range_may_stay_unused(entries: int, covered: bool) -> None:
    """105 879 entries has bert-base-multilingual-uncased, 28 996 bert-base-cased."""
    refusal = pytest.raises(CheckpointError, match=f"has {entries} entries, .* 119547 text ids")
    with nullcontext() if covered else refusal:
        check_coverage(wordpiece(entries), spec=Spec(name="bark"))


def test_the_miniatures_own_tokenizer_covers_it_and_five_words_do_not() -> None:
    miniature = Bundle(MINIATURE)
    check_coverage(read_tokenizer(miniature.tokenizer), spec=miniature.spec)
    with pytest.raises(CheckpointError, match="has 5 entries"):
        check_coverage(wordpiece(5), spec=miniature.spec)


def test_a_tokenizer_whose_ids_leave_gaps_must_still_fit() -> None:
    tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 119_547}, unk_token="[UNK]"))
    with pytest.raises(CheckpointError, match="has 119548 entries, the semantic network has room for 119547"):
        check_tokenizer(tokenizer, spec=Spec(name="bark"))


def test_a_setting_is_found_in_nested_inert_objects_and_loops() -> None:
    inner = Inert("unused")
    inner.__setstate__({"depth": {"rate": 16_000}})
    tree: dict[str, Any] = {"args": None, "list": [inner]}
    tree["self"] = tree
    assert find(tree, "rate") == 16_000
    assert find(tree, "width") is None
