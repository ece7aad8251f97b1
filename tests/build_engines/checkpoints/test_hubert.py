"""HuBERT and its token heads."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from bark_serving.bundle import Bundle
from bark_serving.networks import Hubert, load
from bark_serving.spec import HubertSpec, TokenHeadSpec
from build_engines.checkpoints.formats import hubert_fairseq, token_head
from build_engines.checkpoints.importer import Request, import_bundle
from build_engines.errors import CheckpointError, SourceError
from tests.build_engines.checkpoints import formats


@pytest.fixture(scope="module")
def model() -> Any:
    return formats.hubert_model()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, model: Any) -> Path:
    """HuBERT in three formats and two token heads."""
    folder = tmp_path_factory.mktemp("hubert")
    model.save_pretrained(folder / "transformers")
    (folder / "transformers" / "preprocessor_config.json").write_text('{"sampling_rate": 16000}')
    formats.save_fairseq(folder / "early.pt", model=model, modern=False)
    formats.save_fairseq(folder / "modern.pt", model=model, modern=True)
    formats.save_token_head(folder / "head_0.pth", version=0)
    info = {"input_size": 32, "hidden_size": 24, "output_size": 10_000, "version": 1}
    formats.save_token_head(folder / "head_1.pth", version=1, info=json.dumps(info))
    return folder


def bundle_of(bark_folder: Path, out: Path, hubert: Path, head: Path, *, layer: int | None = 2) -> Bundle:
    request = Request(str(bark_folder), hubert=str(hubert), hubert_head=str(head), hubert_layer=layer, no_voices=True)
    return import_bundle(request, out)


@pytest.mark.parametrize("source", ["transformers", "early.pt", "modern.pt"])
def test_features_equal_transformers_from_every_format(
    folder: Path, bark_folder: Path, model: Any, tmp_path: Path, source: str
) -> None:
    bundle = bundle_of(bark_folder, tmp_path / "bundle", folder / source, folder / "head_0.pth")
    hubert = load("hubert", bundle)
    assert isinstance(hubert, Hubert)
    audio = torch.randn(1, 8_000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = model(audio, output_hidden_states=True).hidden_states[2]
        torch.testing.assert_close(hubert.features(audio), expected, rtol=1e-4, atol=1e-4)


def test_omegaconfs_nodes_are_read_without_omegaconf(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "omegaconf", None)  # importing it raises
    part = hubert_fairseq.read(folder / "modern.pt", feature_layer=2)
    assert (part.spec.heads, part.spec.sample_rate) == (2, 16_000)


def test_all_formats_give_the_same_bundle_files_and_numbers(folder: Path, bark_folder: Path, tmp_path: Path) -> None:
    bundles = [
        bundle_of(bark_folder, tmp_path / source, folder / source, folder / "head_0.pth")
        for source in ("transformers", "early.pt", "modern.pt")
    ]
    expected = HubertSpec(
        layers=3,
        heads=2,
        width=32,
        intermediate=64,
        conv_width=(16,) * 7,
        position_conv_kernel=16,
        position_conv_groups=4,
        feature_layer=2,
        head=TokenHeadSpec(input_width=32, hidden=24),
    )
    assert [bundle.spec.hubert for bundle in bundles] == [expected] * 3
    assert len({bundle.spec.files["hubert.safetensors"] for bundle in bundles}) == 1
    labels = [source.file for source in bundles[1].spec.sources]
    assert {"early.pt", "head_0.pth"} <= set(labels)
    labels = [source.file for source in bundles[0].spec.sources]
    assert {"config.json", "my-bark/config.json"} <= set(labels)  # HuBERT's and Bark's
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("version", [0, 1])
def test_both_versions_of_the_head_give_the_scores_of_their_modules(
    folder: Path, bark_folder: Path, tmp_path: Path, version: int
) -> None:
    head = folder / f"head_{version}.pth"
    bundle = bundle_of(bark_folder, tmp_path / "bundle", folder / "early.pt", head)
    assert bundle.spec.hubert and bundle.spec.hubert.head.version == version
    hubert = load("hubert", bundle)
    assert isinstance(hubert, Hubert)
    state = torch.load(head, weights_only=True)
    lstm = torch.nn.LSTM(32, 24, 2, batch_first=True)
    lstm.load_state_dict({name.removeprefix("lstm."): t for name, t in state.items() if name.startswith("lstm.")})
    features = torch.randn(1, 9, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        x = lstm(features)[0]
        if version == 1:
            x = F.linear(x, state["intermediate.weight"], state["intermediate.bias"])
        expected = F.linear(x, state["fc.weight"], state["fc.bias"])
        torch.testing.assert_close(hubert.head(features), expected, rtol=1e-5, atol=1e-5)


def test_a_head_whose_info_disagrees_with_its_tensors_is_refused(
    folder: Path, bark_folder: Path, tmp_path: Path
) -> None:
    head = tmp_path / "head.pth"
    formats.save_token_head(head, version=0, info=json.dumps({"hidden_size": 1024}))
    with pytest.raises(CheckpointError, match=r"head\.pth: its \.info says hidden_size 1024, its tensors say 24"):
        bundle_of(bark_folder, tmp_path / "bundle", folder / "early.pt", head)


def test_a_head_for_another_width_is_refused(folder: Path, bark_folder: Path, tmp_path: Path) -> None:
    state = formats.save_token_head(tmp_path / "head.pth", version=0)
    for name in ("lstm.weight_ih_l0",):
        state[name] = torch.zeros(96, 48)
    torch.save(state, tmp_path / "head.pth")
    with pytest.raises(CheckpointError, match=r"the head reads features 48 wide, .*early\.pt makes 32"):
        bundle_of(bark_folder, tmp_path / "bundle", folder / "early.pt", tmp_path / "head.pth")


def test_hubert_needs_its_head_and_a_layer_it_has(folder: Path, bark_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"needed together.*--hubert-head"):
        import_bundle(Request(str(bark_folder), hubert=str(folder / "early.pt")), tmp_path / "bundle")
    with pytest.raises(CheckpointError, match=r"layer 7 is asked for, the model has 1\.\.3"):
        bundle_of(bark_folder, tmp_path / "bundle", folder / "early.pt", folder / "head_0.pth", layer=7)


def test_the_published_heads_read_layer_nine(folder: Path) -> None:
    # `output_layer=9` in the project that published them. Its heads carry no layer in their .info.
    for head in ("head_0.pth", "head_1.pth"):
        assert token_head.feature_layer(folder / head, given=None) == 9
        assert token_head.feature_layer(folder / head, given=7) == 7, "a head of one's own, trained on another layer"
    assert HubertSpec().feature_layer == 9
    assert Request("x").hubert_layer is None


def test_without_an_option_the_layer_of_the_head_is_imported(folder: Path, bark_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"layer 9 is asked for, the model has 1\.\.3.*--hubert-layer"):
        bundle_of(bark_folder, tmp_path / "nine", folder / "early.pt", folder / "head_0.pth", layer=None)
    head = tmp_path / "head.pth"
    formats.save_token_head(head, version=0, info=json.dumps({"output_layer": 3}))
    bundle = bundle_of(bark_folder, tmp_path / "three", folder / "early.pt", head, layer=None)
    assert bundle.spec.hubert is not None and bundle.spec.hubert.feature_layer == 3


@pytest.mark.parametrize("key", token_head.LAYER_INFO)
def test_a_layer_that_the_head_s_file_denies_is_refused(
    folder: Path, bark_folder: Path, tmp_path: Path, key: str
) -> None:
    head = tmp_path / "head.pth"
    formats.save_token_head(head, version=0, info=json.dumps({key: 3}))
    refusal = r"head\.pth: its \.info says .* layer 3 of HuBERT; layer 2 was asked for\..*--hubert-layer 3"
    with pytest.raises(CheckpointError, match=refusal):
        bundle_of(bark_folder, tmp_path / "bundle", folder / "early.pt", head, layer=2)
    assert token_head.feature_layer(head, given=3) == 3


def test_a_layer_that_is_no_number_is_refused(tmp_path: Path) -> None:
    head = tmp_path / "head.pth"
    formats.save_token_head(head, version=0, info=json.dumps({"layer": "nine"}))
    with pytest.raises(CheckpointError, match=r"its \.info names the layer 'nine', not a number"):
        token_head.feature_layer(head, given=None)


def test_a_head_and_a_hubert_in_each_other_s_place_are_told_apart(
    folder: Path, bark_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "head.pt").symlink_to(folder / "head_0.pth")
    with pytest.raises(CheckpointError, match=r"modern\.pt: it is a HuBERT, not a token head\. Give it with --hubert,"):
        bundle_of(bark_folder, tmp_path / "bundle", folder / "early.pt", folder / "modern.pt")
    with pytest.raises(CheckpointError, match=r"head\.pt: it is a token head, not a HuBERT\. .* --hubert-head"):
        bundle_of(bark_folder, tmp_path / "bundle", tmp_path / "head.pt", folder / "head_0.pth")


def test_a_larger_hubert_of_another_architecture_is_refused(folder: Path, bark_folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "transformers" / "config.json").read_text())
    other = tmp_path / "large"
    other.mkdir()
    (other / "model.safetensors").symlink_to(folder / "transformers" / "model.safetensors")
    (other / "config.json").write_text(json.dumps({**config, "do_stable_layer_norm": True}))
    with pytest.raises(CheckpointError, match=r"config\.json: do_stable_layer_norm is True; only False is supported"):
        bundle_of(bark_folder, tmp_path / "bundle", other, folder / "head_0.pth")


def test_the_written_tensors_are_exactly_the_networks(folder: Path, bark_folder: Path, tmp_path: Path) -> None:
    bundle = bundle_of(bark_folder, tmp_path / "bundle", folder / "early.pt", folder / "head_1.pth")
    names = load_file(bundle.weights("hubert")).keys()
    assert "encoder.pos_conv_embed.conv.weight" in names
    assert not [name for name in names if "weight_g" in name or "mask" in name or "label" in name]


def test_strides_of_fairseqs_notation_are_read_without_evaluating_it() -> None:
    base = "[(512,10,5)] + [(512,3,2)] * 4 + [(512,2,2)] * 2"
    assert hubert_fairseq.strides(base) == (5, 2, 2, 2, 2, 2, 2)
    assert hubert_fairseq.strides("[(512, 10, 5), (512, 8, 4)]") == (5, 4)
    with pytest.raises(CheckpointError, match="conv_feature_layers"):
        hubert_fairseq.strides("__import__('os').system('true')")
