"""Fine networks whose heads were trained apart from the embeddings: imported with their heads, and served."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from bark_serving.engines.store import EngineStore
from bark_serving.networks import build
from bark_serving.networks.fine import Fine
from bark_serving.profiles import Precision
from bark_serving.spec import FineSpec, Spec
from build_engines.checkpoints.formats import bark_transformers, suno
from build_engines.checkpoints.formats.fine_heads import merge_heads
from build_engines.checkpoints.formats.tensors import Part
from build_engines.export.build import make
from tests.build_engines.checkpoints import formats
from tests.bundles import random_bundle, small_spec


def untie(model: Any) -> None:
    """Give a fine network of Suno's or transformers' random heads of its own."""
    generator = torch.Generator().manual_seed(1)
    for head in model.lm_heads:
        head.weight = nn.Parameter(torch.randn(head.weight.shape, generator=generator) * 0.1)


def assert_same_logits(part: Part[FineSpec], theirs: Any) -> None:
    """Our network scores every codebook as `theirs` (codebook, codes [B, T, codebooks]) does."""
    assert part.spec.tied_heads is False
    ours = build("fine", Spec(name="untied", fine=part.spec))
    ours.load_state_dict(part.tensors)
    assert isinstance(ours, Fine)
    codes = torch.randint(0, 1_024, (1, 8, 30), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        for codebook in range(2, 8):
            found = ours.eval().logits(codes.int(), torch.tensor([[codebook]], dtype=torch.int32))
            expected = theirs(codebook, codes.transpose(1, 2))[..., :1_024]
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_untied_heads_of_sunos_format_score_as_sunos_own_code_does(tmp_path: Path) -> None:
    path = tmp_path / "fine_2.pt"
    model: Any = formats.save_suno(path, fine=True, **formats.FINE)
    untie(model)
    torch.save({**torch.load(path, weights_only=False), "model": model.state_dict()}, path)
    part, _ = suno.read_fine(path)
    assert_same_logits(part, model)


def test_untied_heads_of_transformers_format_score_as_its_own_code_does(bark_model: Any, tmp_path: Path) -> None:
    model = copy.deepcopy(bark_model)
    untie(model.fine_acoustics)
    model.config.fine_acoustics_config.tie_word_embeddings = False
    formats.save_bark(tmp_path, model)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")  # its own save drops heads as tied
    parts = bark_transformers.read(tmp_path, weights="pytorch_model.bin")
    assert_same_logits(parts.fine, lambda codebook, codes: model.fine_acoustics(codebook, input_ids=codes).logits)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_engines_with_untied_heads_compute_what_the_network_does(tmp_path: Path, precision: Precision) -> None:
    """`make` validates what it exports against the network. The heads are random, unlike the embeddings."""
    spec = small_spec()
    untied = spec.model_copy(update={"fine": spec.fine.model_copy(update={"tied_heads": False})})
    bundle = random_bundle(tmp_path / "bundle", untied)
    assert "head.weight" in load_file(bundle.weights("fine"))
    engine = make(bundle, stage="fine", precision=precision, store=EngineStore(tmp_path / "engines"))
    assert engine.model.is_file()


def test_tied_heads_leave_no_trace_in_a_spec() -> None:
    assert "tied_heads" not in FineSpec().model_dump_json()
    untied = FineSpec(tied_heads=False)
    assert FineSpec.model_validate_json(untied.model_dump_json()) == untied


def test_a_file_may_keep_heads_embeddings_or_both() -> None:
    tables = {f"embeddings.{k}": torch.full((3, 2), float(k)) for k in range(4)}
    heads = {f"heads.{k - 1}": tables[f"embeddings.{k}"].clone() for k in range(1, 4)}
    for tensors in ({**tables, **heads}, tables, {"embeddings.0": tables["embeddings.0"], **heads}):
        merged, tied = merge_heads(tensors, codebooks=4, given=1)
        assert tied
        assert merged.keys() == {"token_embedding.weight"}
        assert merged["token_embedding.weight"][:, 0, 0].tolist() == [0, 1, 2, 3]
