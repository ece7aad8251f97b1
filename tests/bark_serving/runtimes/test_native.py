"""The transformers in the kernels: near fp32, the same bits in any company, and chosen where they can run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from bark_serving.bundle import Bundle, mapped
from bark_serving.decoding.sampler import NumpySampler
from bark_serving.engines.kernels import KERNELS_FILE, instruction_set, packed_weights
from bark_serving.engines.store import EngineError, EngineStore
from bark_serving.networks import Fine, load
from bark_serving.networks.fine import sample as sample_in_torch
from bark_serving.profiles import Precision
from bark_serving.runtimes.factory import open_gpts, open_network
from bark_serving.runtimes.onnx_gpt import OnnxGpt
from bark_serving.runtimes.settings import RuntimeSettings
from build_engines.export import kernels
from build_engines.export.build import make, manifest
from build_engines.export.graphs import GRAPHS
from tests.bundles import coarse_of_width, random_bundle

native = pytest.importorskip("bark_serving.runtimes.native", reason="the kernels are not installed")
pytestmark = pytest.mark.skipif(instruction_set() is None, reason="there are no kernels for this processor")

SPEC = coarse_of_width(192)
LENGTHS = (60, 13, 257, 47)
PRECISIONS: tuple[Precision, ...] = ("int8", "int4")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return random_bundle(tmp_path_factory.mktemp("native") / "bundle", SPEC, networks=["coarse", "fine"])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> EngineStore:
    return EngineStore(tmp_path_factory.mktemp("engines"))


@pytest.fixture(scope="module")
def open_gpt(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., native.NativeGpt]:
    folder = tmp_path_factory.mktemp("packed")
    network = GRAPHS["coarse"].forward(load("coarse", bundle), SPEC)
    for precision, bits in (("int8", 8), ("int4", 4)):
        kernels.pack(network, bits=bits, path=folder / precision)
    table = mapped(bundle.weights("coarse"), "token_embedding.weight")

    def open_gpt(precision: Precision, *, rows: int = 4, threads: int = 1) -> native.NativeGpt:
        return native.NativeGpt(folder / precision, gpt=SPEC.coarse.gpt, embeddings=table, rows=rows, threads=threads)

    return open_gpt


def settings_of(bundle: Bundle, engine: Path) -> RuntimeSettings:
    return RuntimeSettings(profile="cpu", precision="int8", bundle=bundle, engine=engine, devices=["cpu"], threads=1)


def decode_rows(gpt: native.NativeGpt, sequences: list[int]) -> np.ndarray:
    """Prefill sequences of `LENGTHS`, each alone, then decode one step of all together."""
    ids = np.random.default_rng(0).integers(0, 12_000, (len(LENGTHS), max(LENGTHS) + 1))
    for row, sequence in enumerate(sequences):
        gpt.prefill(row, gpt.embed(ids[sequence, : LENGTHS[sequence]]))
    lengths = np.array([LENGTHS[sequence] for sequence in sequences], np.int32)
    return gpt.decode(gpt.embed(ids[sequences, lengths]), lengths)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("sequences", [[0, 1], [3, 1, 0, 2], [2, 3, 2, 3, 1, 0, 3]])
def test_sequences_decode_bit_for_bit_as_alone(
    open_gpt: Callable[..., native.NativeGpt], precision: Precision, sequences: list[int]
) -> None:
    together = decode_rows(open_gpt(precision, rows=len(sequences), threads=2), sequences)
    for place, sequence in enumerate(sequences):
        assert np.array_equal(together[place], decode_rows(open_gpt(precision, rows=1), [sequence])[0])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_moved_row_goes_on_as_it_would_have(open_gpt: Callable[..., native.NativeGpt], precision: Precision) -> None:
    gpt = open_gpt(precision)
    together = decode_rows(gpt, [0, 2, 1])
    gpt.move(2, 0, LENGTHS[1])
    ids = np.random.default_rng(0).integers(0, 12_000, (len(LENGTHS), max(LENGTHS) + 1))
    alone = gpt.decode(gpt.embed(ids[[1], [LENGTHS[1]]]), np.array([LENGTHS[1]], np.int32))
    np.testing.assert_array_equal(alone[0], together[2])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("stage", ["coarse", "fine"])
def test_logits_are_near_the_networks(bundle: Bundle, tmp_path: Path, stage: str, precision: Precision) -> None:
    """The check that every engine passes before the store takes it."""
    network = GRAPHS[stage].forward(load(stage, bundle), SPEC)  # type: ignore[index,arg-type]
    path = tmp_path / KERNELS_FILE
    kernels.pack(network, bits=8 if precision == "int8" else 4, path=path)
    kernels.validate(stage, module=network, spec=SPEC, precision=precision, path=path)  # type: ignore[arg-type]


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_codes_are_drawn_as_torch_draws_them(temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((50, 1024)).astype(np.float32)
    uniforms = rng.random(50, np.float32)
    expected = sample_in_torch(
        torch.from_numpy(logits)[None], torch.tensor([[temperature]]), torch.from_numpy(uniforms)[None]
    )
    np.testing.assert_array_equal(native.sample(logits, temperature, uniforms), expected[0].numpy())


def test_a_uniform_near_one_finds_the_last_code() -> None:
    logits = np.full((1, 4), 3.0, np.float32)
    assert native.sample(logits, 1.0, np.array([np.nextafter(1, 0)], np.float32)) == 3


def test_rows_of_a_fine_batch_may_be_at_different_codebooks(bundle: Bundle, tmp_path: Path) -> None:
    network = cast(Fine, load("fine", bundle))
    kernels.pack(network, bits=8, path=tmp_path / KERNELS_FILE)
    tables = mapped(bundle.weights("fine"), "token_embedding.weight")
    fine = native.NativeFine(tmp_path / KERNELS_FILE, spec=SPEC.fine, tables=tables, threads=1)
    rng = np.random.default_rng(0)
    inputs = {
        "codes": rng.integers(0, 1024, (2, 8, 40)).astype(np.int32),
        "codebook": np.array([[2], [7]], np.int32),
        "temperature": np.array([[0.0], [0.5]], np.float32),
        "uniforms": rng.random((2, 40)).astype(np.float32),
    }
    both = fine(inputs, ["predictions", "logits"])
    for row in range(2):
        one = fine({name: array[row : row + 1] for name, array in inputs.items()}, ["predictions", "logits"])
        for name in one:
            np.testing.assert_array_equal(both[name][row], one[name][0])


def test_an_engine_with_packed_weights_runs_on_the_kernels(
    bundle: Bundle, store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BARK_KERNELS=off takes ONNX Runtime for the same engine; its tokens are near, not equal."""
    engine = make(bundle, stage="coarse", precision="int8", store=store)
    assert engine.manifest.versions["bark_kernels"] == str(
        native.Weights(engine.folder / KERNELS_FILE).metadata["layout"]
    )
    settings = settings_of(bundle, engine.folder)
    (sampler,) = open_gpts("coarse", settings, max_batch=2)
    assert isinstance(sampler, NumpySampler) and isinstance(sampler.runtime, native.NativeGpt)
    ids = np.arange(100)
    found = sampler.runtime.prefill(0, sampler.runtime.embed(ids))
    monkeypatch.setenv("BARK_KERNELS", "off")
    (sampler,) = open_gpts("coarse", settings, max_batch=2)
    assert isinstance(sampler, NumpySampler) and isinstance(sampler.runtime, OnnxGpt)
    other = sampler.runtime.prefill(0, sampler.runtime.embed(ids))
    assert found @ other / np.linalg.norm(found) / np.linalg.norm(other) > 0.995


def test_the_fine_stage_runs_on_the_kernels(
    bundle: Bundle, store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make(bundle, stage="fine", precision="int8", store=store)
    settings = settings_of(bundle, engine.folder)
    assert isinstance(open_network("fine", settings, device="cpu"), native.NativeFine)
    monkeypatch.setenv("BARK_KERNELS", "off")
    assert not isinstance(open_network("fine", settings, device="cpu"), native.NativeFine)


def test_an_engine_without_packed_weights_runs_on_onnx_runtime(tmp_path: Path) -> None:
    assert packed_weights(tmp_path) is None


def test_a_wrong_instruction_set_names_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BARK_KERNELS", "mmx")
    with pytest.raises(EngineError) as caught:
        instruction_set()
    assert caught.value.problem.startswith("BARK_KERNELS is mmx; this processor has ")
    assert caught.value.problem.endswith(".") and "Set" not in caught.value.problem
    assert caught.value.remedy == "Set it to one of these or to off, or unset it."


def test_engines_with_and_without_packed_weights_have_different_keys(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the kernels cannot run, packed weights cannot be checked, so the engine has none."""
    assert "bark_kernels" in manifest(bundle, stage="coarse", precision="int8").versions
    assert "bark_kernels" not in manifest(bundle, stage="coarse", precision="fp32").versions
    monkeypatch.setattr("build_engines.export.build.instruction_set", lambda: None)
    assert "bark_kernels" not in manifest(bundle, stage="coarse", precision="int8").versions
