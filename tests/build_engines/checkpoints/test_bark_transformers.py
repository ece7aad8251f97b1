"""Bark in transformers' format."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from bark_serving.bundle import Bundle
from bark_serving.networks import Encodec, Fine, Gpt, load
from bark_serving.spec import GptSpec, SamplingSpec, Spec
from build_engines.bundles.tokenizers import read_tokenizer
from build_engines.checkpoints.importer import Request, import_bundle
from tests.build_engines.checkpoints import formats


@pytest.fixture(scope="module")
def bundle(bark_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return import_bundle(Request(str(bark_folder)), tmp_path_factory.mktemp("out") / "bundle")


def test_every_network_computes_the_same_as_transformers(bundle: Bundle, bark_model: Any) -> None:
    ids = torch.randint(0, 10_000, (1, 12), generator=torch.Generator().manual_seed(0))
    close = {"rtol": 1e-5, "atol": 1e-5}
    with torch.inference_mode():
        for network, theirs in (("semantic", bark_model.semantic), ("coarse", bark_model.coarse_acoustics)):
            ours: Any = load(network, bundle)  # type: ignore[arg-type]
            assert isinstance(ours, Gpt)
            lengths = torch.tensor([11], dtype=torch.int32), torch.tensor([12], dtype=torch.int32)
            cache = ours.empty_cache(batch=1, capacity=12)
            logits = ours(ours.token_embedding(ids), torch.arange(12)[None], *lengths, *cache)[0]
            torch.testing.assert_close(logits, theirs(ids).logits[:, -1], **close)
        fine, encodec = load("fine", bundle), load("encodec", bundle)
        assert isinstance(fine, Fine) and isinstance(encodec, Encodec)
        codes = torch.randint(0, 1024, (1, 8, 20), generator=torch.Generator().manual_seed(1))
        for codebook in range(2, 8):
            expected = bark_model.fine_acoustics(codebook, codes.transpose(1, 2)).logits[..., :1024]
            torch.testing.assert_close(fine.logits(codes.int(), torch.tensor([[codebook]])), expected, **close)
        wave = bark_model.codec_model.decode(codes[None], [None]).audio_values[:, 0]
        torch.testing.assert_close(encodec.decode(codes), wave, **close)


def test_numbers_are_read_from_both_json_files(bundle: Bundle) -> None:
    spec, released = bundle.spec, Spec(name="released")
    sizes = {"layers": 2, "heads": 2, "width": 32, "bias": False}
    assert spec.semantic == released.semantic.model_copy(
        update={
            "gpt": GptSpec(input_vocab=129_600, output_vocab=10_048, **sizes),
            "max_steps": 700,
            "text_pad": 129_597,
        }
    )
    assert spec.coarse == released.coarse.model_copy(
        update={"gpt": GptSpec(input_vocab=12_096, output_vocab=12_096, **sizes), "max_history": 600, "window": 40}
    )
    assert spec.fine == released.fine.model_copy(
        update={"gpt": GptSpec(input_vocab=1_056, output_vocab=1_056, **sizes)}
    )
    assert spec.encodec == released.encodec.model_copy(update={"filters": 4, "dimension": 16})
    # the coarse temperature is 1.0, transformers' default, so it counts as absent
    assert spec.sampling == SamplingSpec(semantic_temperature=0.65, fine_temperature=0.45, min_eos_p=0.15)
    assert spec.name == "my-bark"
    assert [source.file for source in spec.sources] == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "vocab.txt",
    ]


def test_the_voices_become_npz_files_under_their_names(bundle: Bundle) -> None:
    with np.load(bundle.voices / "v2" / "en_speaker_6.npz") as arrays:
        assert sorted(arrays) == ["coarse_prompt", "fine_prompt", "semantic_prompt"]
        for name, values in formats.voice().items():
            np.testing.assert_array_equal(arrays[name], values)
            assert arrays[name].dtype == np.int32
    assert "voices/v2/en_speaker_6.npz" in bundle.spec.files


def test_voices_are_left_out_on_request(bark_folder: Path, tmp_path: Path) -> None:
    assert not import_bundle(Request(str(bark_folder), no_voices=True), tmp_path / "bundle").voices.exists()


@pytest.mark.parametrize("layout", ["pytorch_model.bin", "sharded safetensors", "sharded bin"])
def test_other_weight_files_give_the_same_networks(
    bark_folder: Path, bundle: Bundle, bark_model: Any, tmp_path: Path, layout: str
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(bark_folder, folder, ignore=shutil.ignore_patterns("model.safetensors"))
    state = {name: tensor.clone() for name, tensor in bark_model.state_dict().items()}
    if layout == "pytorch_model.bin":
        torch.save(state, folder / layout)
    else:
        kind = "safetensors" if layout.endswith("safetensors") else "bin"
        stem = "model" if kind == "safetensors" else "pytorch_model"
        places: dict[str, str] = {}
        for number, part in enumerate((sorted(state)[::2], sorted(state)[1::2]), start=1):
            name = f"{stem}-{number:05}-of-00002.{kind}"
            shard = {key: state[key] for key in part}
            if kind == "safetensors":
                save_file(shard, folder / name)
            else:
                torch.save(shard, folder / name)
            places |= dict.fromkeys(part, name)
        (folder / f"{stem}.{kind}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    other = import_bundle(Request(str(folder)), tmp_path / "bundle")
    assert other.spec.files == bundle.spec.files


@pytest.mark.parametrize("shard", ["5GB", "200KB"], ids=["one file", "shards"])
def test_weights_saved_as_a_variant_are_read(
    bark_folder: Path, bundle: Bundle, bark_model: Any, tmp_path: Path, shard: str
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(bark_folder, folder, ignore=shutil.ignore_patterns("model.safetensors", "*.json"))
    bark_model.save_pretrained(folder, variant="fp16", max_shard_size=shard)
    for file in bark_folder.glob("*.json"):
        shutil.copy(file, folder)
    weights = [path.name for path in folder.glob("*.safetensors")]
    assert all(".fp16" in name for name in weights) and (len(weights) > 1) == (shard == "200KB")
    other = import_bundle(Request(str(folder)), tmp_path / "bundle")
    assert other.spec.files == bundle.spec.files


def test_a_pickle_saved_as_a_variant_is_read(
    bark_folder: Path, bundle: Bundle, bark_model: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(bark_folder, folder, ignore=shutil.ignore_patterns("model.safetensors"))
    torch.save(bark_model.state_dict(), folder / "pytorch_model.fp16.bin")
    assert import_bundle(Request(str(folder)), tmp_path / "bundle").spec.files == bundle.spec.files


def test_old_weight_norm_names_and_biases_are_read(tmp_path: Path, vocabulary: Path) -> None:
    model = formats.bark_model(bias=True)
    model.config.save_pretrained(tmp_path / "old")
    state = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): tensor
        for name, tensor in model.state_dict().items()
    }
    torch.save(state, tmp_path / "old" / "pytorch_model.bin")
    bundle = import_bundle(Request(str(tmp_path / "old"), tokenizer=str(vocabulary)), tmp_path / "bundle")
    assert bundle.spec.semantic.gpt.bias
    weights = load_file(bundle.weights("semantic"))
    assert torch.equal(weights["layers.1.mlp.up.bias"], model.semantic.layers[1].mlp.in_proj.bias)
    # without generation_config.json the numbers are Suno's
    assert bundle.spec.semantic.max_steps == 768
    assert bundle.spec.sampling == SamplingSpec()


def test_half_precision_weights_become_single(bark_folder: Path, bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "half"
    shutil.copytree(bark_folder, folder)
    half = {name: tensor.half() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(half, folder / "model.safetensors")
    weights = load_file(import_bundle(Request(str(folder)), tmp_path / "bundle").weights("coarse"))
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    exact = load_file(bundle.weights("coarse"))
    torch.testing.assert_close(weights["norm.weight"], exact["norm.weight"], rtol=1e-3, atol=1e-3)


def test_transformers_format_is_preferred_and_sunos_can_be_requested(
    bark_folder: Path, suno_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "both"
    shutil.copytree(bark_folder, folder)
    for file in suno_folder.iterdir():
        (folder / file.name).symlink_to(file)
    preferred = import_bundle(Request(str(folder)), tmp_path / "one")
    requested = import_bundle(Request(str(folder), format="suno"), tmp_path / "two")
    assert "model.safetensors" in [source.file for source in preferred.spec.sources]
    assert "text_2.pt" in [source.file for source in requested.spec.sources]


def test_a_tokenizer_json_loses_the_padding_it_was_saved_with(
    bark_folder: Path, vocabulary: Path, tmp_path: Path
) -> None:
    tokenizer = read_tokenizer(vocabulary)
    tokenizer.enable_padding(length=256)
    tokenizer.enable_truncation(max_length=2)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    request = Request(str(bark_folder), tokenizer=str(tmp_path / "tokenizer.json"))
    bundle = import_bundle(request, tmp_path / "bundle")
    assert len(Tokenizer.from_file(str(bundle.tokenizer)).encode("the time is long").ids) == 4
