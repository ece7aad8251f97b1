"""Suno's own files, and Encodec's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from bark_serving.bundle import Bundle
from bark_serving.networks import Encodec, load
from bark_serving.spec import GptSpec, Spec
from bark_serving.voices import VoiceLibrary
from build_engines.checkpoints.importer import STEPS, Request, import_bundle
from build_engines.checkpoints.voices import LeftOut
from build_engines.errors import CheckpointError, SourceError
from reference import suno as oracle
from tests.build_engines.checkpoints import formats


@pytest.fixture(scope="module")
def bundle(suno_folder: Path, vocabulary: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    out = tmp_path_factory.mktemp("out") / "bundle"
    return import_bundle(Request(str(suno_folder), tokenizer=str(vocabulary)), out)


def assert_same(ours: nn.Module, theirs: nn.Module) -> None:
    """The same tensors under the same names."""
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for name, tensor in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], tensor, rtol=0, atol=0, msg=name)


def test_the_three_transformers_equal_those_of_sunos_classes(
    bundle: Bundle, suno_networks: dict[str, nn.Module]
) -> None:
    for network, spec in (("semantic", bundle.spec.semantic.gpt), ("coarse", bundle.spec.coarse.gpt)):
        assert_same(oracle.gpt(load_file(bundle.folder / f"{network}.safetensors"), spec), suno_networks[network])
    assert_same(oracle.fine(load_file(bundle.weights("fine")), bundle.spec), suno_networks["fine"])


def test_folded_encodec_computes_the_same_as_the_weight_normed_one(
    bundle: Bundle, suno_networks: dict[str, nn.Module]
) -> None:
    ours, theirs = load("encodec", bundle), suno_networks["encodec"]
    assert isinstance(ours, Encodec)
    codes = torch.randint(0, 1024, (1, 8, 20), generator=torch.Generator().manual_seed(0))
    audio = torch.randn(1, 3200, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        wave: Any = theirs.decode([(codes, None)])  # type: ignore[operator]
        torch.testing.assert_close(ours.decode(codes), wave[:, 0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(ours.encoder(audio[:, None]), theirs.encoder(audio[:, None]), rtol=1e-5, atol=1e-5)  # type: ignore[operator]


def test_every_number_comes_from_the_files_or_from_sunos_code(bundle: Bundle) -> None:
    sizes = {"layers": 2, "heads": 2, "width": 32, "block_size": 1024, "bias": False}
    spec, released = bundle.spec, Spec(name="released")
    assert spec.semantic.gpt == GptSpec(input_vocab=129_600, output_vocab=10_048, **sizes)
    assert spec.coarse.gpt == GptSpec(input_vocab=12_096, output_vocab=12_096, **sizes)
    assert spec.fine.gpt == GptSpec(input_vocab=1_056, output_vocab=1_056, **sizes)
    assert spec.encodec == released.encodec.model_copy(update={"filters": 4, "dimension": 16})
    for stage in ("semantic", "coarse", "fine"):
        assert getattr(spec, stage).model_dump(exclude={"gpt"}) == getattr(released, stage).model_dump(exclude={"gpt"})
    assert spec.hubert is None
    assert spec.sampling == released.sampling
    assert spec.name == "bark-v0"


def test_sources_and_files_are_listed_with_their_hashes(bundle: Bundle, suno_folder: Path, vocabulary: Path) -> None:
    from build_engines.bundles.writer import sha256

    assert [source.file for source in bundle.spec.sources] == [
        vocabulary.name,
        "coarse_2.pt",
        "encodec_24khz-test.th",
        "fine_2.pt",
        "text_2.pt",
    ]
    by_name = {source.file: source.sha256 for source in bundle.spec.sources}
    assert by_name["text_2.pt"] == sha256(suno_folder / "text_2.pt")
    networks = ("semantic", "coarse", "fine", "encodec")
    assert bundle.spec.files.keys() == {*(f"{network}.safetensors" for network in networks), "tokenizer.json"}
    bundle.verify()


@pytest.mark.parametrize("bias", [False, True])
def test_first_generation_files_of_a_compiled_model_are_read(tmp_path: Path, vocabulary: Path, bias: bool) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    options: dict[str, Any] = {"old": True, "prefix": "_orig_mod.", "bias": bias}
    both = {"input_vocab_size": 129_600, "output_vocab_size": 129_600}
    semantic = formats.save_suno(folder / "text.pt", **both, **options)
    formats.save_suno(folder / "coarse.pt", **formats.COARSE, **options)
    fine = formats.save_suno(folder / "fine.pt", fine=True, **formats.FINE, **options)
    formats.save_encodec(folder / "encodec_24khz-test.th")
    (folder / "vocab.txt").write_bytes(vocabulary.read_bytes())
    bundle = import_bundle(Request(str(folder)), tmp_path / "bundle")
    assert bundle.spec.semantic.gpt.output_vocab == 129_600
    assert bundle.spec.semantic.gpt.bias is bias
    assert_same(oracle.gpt(load_file(bundle.weights("semantic")), bundle.spec.semantic.gpt), semantic)
    assert_same(oracle.fine(load_file(bundle.weights("fine")), bundle.spec), fine)


def test_large_files_are_preferred_unless_small_ones_are_requested(
    suno_folder: Path, vocabulary: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "both"
    folder.mkdir()
    for file in suno_folder.iterdir():
        (folder / file.name).symlink_to(file)
    (folder / "text.pt").symlink_to(suno_folder / "text_2.pt")
    for small, expected in ((False, "text_2.pt"), (True, "text.pt")):
        request = Request(str(folder), tokenizer=str(vocabulary), small=small)
        bundle = import_bundle(request, tmp_path / f"bundle-{small}")
        assert [source.file for source in bundle.spec.sources][-1] == expected


def test_encodec_may_come_from_transformers_instead(suno_folder: Path, vocabulary: Path, tmp_path: Path) -> None:
    from transformers import EncodecModel

    model: Any = formats.randomise(EncodecModel(formats.encodec_config()))
    model.save_pretrained(tmp_path / "encodec")
    request = Request(str(suno_folder), tokenizer=str(vocabulary), encodec=str(tmp_path / "encodec"))
    ours = load("encodec", import_bundle(request, tmp_path / "bundle"))
    assert isinstance(ours, Encodec)
    codes = torch.randint(0, 1024, (1, 8, 20), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wave = model.decode(codes[None], [None]).audio_values[:, 0]
        torch.testing.assert_close(ours.decode(codes), wave, rtol=1e-5, atol=1e-5)


def test_bark_in_transformers_format_is_not_taken_for_encodec(suno_folder: Path, tmp_path: Path) -> None:
    """suno/bark holds both. Without this, gigabytes would be fetched and then refused."""
    folder = tmp_path / "both"
    folder.mkdir()
    for file in suno_folder.iterdir():
        if file.suffix != ".th":
            (folder / file.name).symlink_to(file)
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")
    (folder / "config.json").write_text('{"model_type": "bark"}')
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(SourceError, match=r"has no Encodec.*Give it with --encodec"):
        import_bundle(Request(str(folder), format="suno"), tmp_path / "bundle")


def test_voices_come_from_a_folder_of_npz_files(suno_folder: Path, vocabulary: Path, tmp_path: Path) -> None:
    (tmp_path / "prompts" / "v2").mkdir(parents=True)
    np.savez(tmp_path / "prompts" / "v2" / "en_speaker_6.npz", **formats.voice())
    np.savez(tmp_path / "prompts" / "announcer.npz", **formats.voice())
    request = Request(str(suno_folder), tokenizer=str(vocabulary), voices=str(tmp_path / "prompts"))
    bundle = import_bundle(request, tmp_path / "bundle")
    assert sorted(path.relative_to(bundle.voices).as_posix() for path in bundle.voices.rglob("*.npz")) == [
        "announcer.npz",
        "v2/en_speaker_6.npz",
    ]
    with np.load(bundle.voices / "v2" / "en_speaker_6.npz") as arrays:
        for name, values in formats.voice().items():
            np.testing.assert_array_equal(arrays[name], values)


@pytest.mark.parametrize("length", [64, 65])
def test_a_voice_is_imported_only_under_a_name_that_the_server_lists(
    suno_folder: Path, vocabulary: Path, tmp_path: Path, length: int
) -> None:
    (tmp_path / "prompts").mkdir()
    np.savez(tmp_path / "prompts" / f"{'a' * length}.npz", **formats.voice())
    request = Request(str(suno_folder), tokenizer=str(vocabulary), voices=str(tmp_path / "prompts"))
    left_out: list[LeftOut] = []
    bundle = import_bundle(request, tmp_path / "bundle", on_left_out=left_out.append)
    assert list(VoiceLibrary([bundle.voices], spec=bundle.spec).names()) == (["a" * length] if length <= 64 else [])
    assert [voice.name for voice in left_out] == (["a" * length] if length > 64 else [])


def test_importing_twice_gives_the_same_bundle_and_reports_each_step(
    suno_folder: Path, vocabulary: Path, tmp_path: Path, bundle: Bundle
) -> None:
    steps: list[str] = []
    request = Request(str(suno_folder), tokenizer=str(vocabulary))
    assert import_bundle(request, tmp_path / "bundle", on_step=lambda step, _: steps.append(step)).hash == bundle.hash
    assert steps == [step for step in STEPS if step != "hubert"]


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("fine_2.pt", r"the fine network's file fine_2\.pt or fine\.pt is missing"),
        ("encodec_24khz-test.th", r"has no Encodec .*--encodec"),
        ("vocab.txt", r"has no tokenizer\.json or vocab\.txt.*--tokenizer"),
    ],
)
def test_a_missing_file_is_named_with_what_to_do(
    suno_folder: Path, vocabulary: Path, tmp_path: Path, missing: str, message: str
) -> None:
    folder = tmp_path / "part"
    folder.mkdir()
    for file in [*suno_folder.iterdir(), vocabulary]:
        name = "vocab.txt" if file == vocabulary else file.name
        if name != missing:
            (folder / name).symlink_to(file)
    with pytest.raises((CheckpointError, SourceError), match=message):
        import_bundle(Request(str(folder)), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
