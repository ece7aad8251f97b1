"""Exported graphs compute the same as their networks, at every size, alone and in batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
import torch
from typer.testing import CliRunner

from bark_serving.bundle import Bundle
from bark_serving.engines.manifest import key
from bark_serving.engines.store import MODEL_FILE, PRECISIONS, Engine, EngineStore
from bark_serving.networks import Encodec, load
from bark_serving.networks.encodec import PIECES
from bark_serving.profiles import STAGES, Precision, Stage
from bark_serving.runtimes.onnx_session import CHUNK_FILE, WIDE_FILE, multiplies_int8_exactly, wide_graph
from bark_serving.spec import GptSpec
from build_engines.builder import builder_version
from build_engines.cli import app
from build_engines.errors import BuildError, ExportError
from build_engines.export import build as onnx_builder
from build_engines.export import decoder_chunks
from build_engines.export import validate as validation
from build_engines.export.build import make
from build_engines.export.graph import to_onnx
from build_engines.export.graphs import GRAPHS, with_int8_cache
from build_engines.export.row_pairs import with_rows_axis
from tests.bundles import random_bundle, small_spec, true_size_spec

ALL = [pytest.param(stage, precision, id=f"{stage} {precision}") for stage in STAGES for precision in PRECISIONS[stage]]


@pytest.mark.parametrize(("stage", "precision"), ALL)
def test_every_stage_exports_with_the_declared_inputs_and_outputs(
    bundle: Bundle, store: EngineStore, stage: Stage, precision: Precision
) -> None:
    engine = make(bundle, stage=stage, precision=precision, store=store)
    session = validation.open_session(engine.model)
    for declared, found in (
        (engine.manifest.inputs, session.get_inputs()),
        (engine.manifest.outputs, session.get_outputs()),
    ):
        assert {name: list(info.axes) for name, info in declared.items()} == {x.name: list(x.shape) for x in found}
    expected = GRAPHS[stage].outputs(bundle.spec)
    if precision in ("int8", "int4"):
        expected = with_int8_cache(expected)
    if precision == "int4" and stage in ("semantic", "coarse"):
        expected = with_rows_axis(expected)
    assert declared == expected


@pytest.mark.parametrize(("stage", "precision"), ALL)
def test_a_graph_holds_no_paths_of_the_machine_that_built_it(
    bundle: Bundle, store: EngineStore, stage: Stage, precision: Precision
) -> None:
    engine = make(bundle, stage=stage, precision=precision, store=store)
    model = onnx.load(engine.model)
    onnx.checker.check_model(model)
    assert not model.metadata_props
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    content = engine.model.read_bytes()
    assert b".py" not in content
    assert str(Path(__file__).parents[3]).encode() not in content


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "precision"), ALL)
def test_every_stage_exports_at_true_size(tmp_path: Path, stage: Stage, precision: Precision) -> None:
    bundle = random_bundle(tmp_path / "bundle", true_size_spec(), networks=[GRAPHS[stage].network])
    engine = make(bundle, stage=stage, precision=precision, store=EngineStore(tmp_path / "engines"))
    assert engine.size < {"int8": 240e6, "int4": 190e6, "fp32": 500e6}[precision]


needs_exact_int8 = pytest.mark.skipif(
    not multiplies_int8_exactly(), reason="this CPU's products of bytes overflow: engines built here have no wide.onnx"
)
INT8_FILES = [MODEL_FILE, pytest.param(WIDE_FILE, marks=needs_exact_int8)]


@pytest.mark.parametrize("file", INT8_FILES)
@pytest.mark.parametrize("stage", ["semantic", "coarse", "fine"])
def test_int8_logits_stay_close_to_fp32(bundle: Bundle, store: EngineStore, stage: Stage, file: str) -> None:
    sample = GRAPHS[stage].sample(bundle.spec, 2, 40, np.random.default_rng(5))
    paths = (
        make(bundle, stage=stage, precision="int8", store=store).folder / file,
        make(bundle, stage=stage, precision="fp32", store=store).model,
    )
    int8, fp32 = (validation.run_graph(validation.open_session(path), sample) for path in paths)
    similarity = validation.cosine(int8["logits"], fp32["logits"])
    assert 0.999 <= similarity < 1 - 1e-7, "equal to the last digit would mean that nothing was quantized"


@pytest.mark.parametrize("stage", ["semantic", "coarse"])
def test_int4_is_less_exact_and_smaller_than_int8(bundle: Bundle, store: EngineStore, stage: Stage) -> None:
    sample = GRAPHS[stage].sample(bundle.spec, 2, 40, np.random.default_rng(5))
    engines = {
        precision: make(bundle, stage=stage, precision=precision, store=store) for precision in PRECISIONS[stage]
    }
    logits = {
        precision: validation.run_graph(validation.open_session(engine.model), sample)["logits"]
        for precision, engine in engines.items()
    }
    assert 0.9 <= validation.cosine(logits["int4"], logits["fp32"]) < validation.cosine(logits["int8"], logits["fp32"])
    assert engines["int4"].model.stat().st_size < engines["int8"].model.stat().st_size


def test_int8_quantizes_all_linear_layers_except_the_fine_head(bundle: Bundle, store: EngineStore) -> None:
    def counts(stage: Stage, file: str, operator: str) -> tuple[int, int]:
        graph = onnx.load(make(bundle, stage=stage, precision="int8", store=store).folder / file).graph
        operators = [node.op_type for node in graph.node]
        return operators.count(operator), operators.count("MatMul") + operators.count("Gemm")

    layouts = [(MODEL_FILE, "MatMulNBits")] + [(WIDE_FILE, "MatMulIntegerToFloat")] * multiplies_int8_exactly()
    for file, operator in layouts:
        assert counts("coarse", file, operator) == (4 * 2 + 1, 0)  # four per layer, and the head
        assert counts("fine", file, operator) == (4 * 2, 1)  # the fine head is chosen per codebook


@needs_exact_int8
def test_a_fine_window_gives_the_same_logits_alone_and_in_a_batch(bundle: Bundle, store: EngineStore) -> None:
    engine = make(bundle, stage="fine", precision="int8", store=store)
    session = validation.open_session(engine.folder / WIDE_FILE)
    sample = GRAPHS["fine"].sample(bundle.spec, 3, 33, np.random.default_rng(5))
    together = validation.run_graph(session, sample)
    for row in range(3):
        alone = validation.run_graph(session, {name: array[row : row + 1] for name, array in sample.items()})
        np.testing.assert_array_equal(alone["logits"][0], together["logits"][row])


def test_a_cpu_with_inexact_int8_products_uses_the_narrow_graph(
    bundle: Bundle, store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make(bundle, stage="coarse", precision="int8", store=store)
    (engine.folder / WIDE_FILE).touch()
    monkeypatch.setattr("bark_serving.runtimes.onnx_session.multiplies_int8_exactly", lambda: True)
    assert wide_graph(engine.folder).name == WIDE_FILE
    monkeypatch.setattr("bark_serving.runtimes.onnx_session.multiplies_int8_exactly", lambda: False)
    assert wide_graph(engine.folder) == engine.model


class Decoder:
    """A GPT engine with a cache of `rows` rows, which is bound as past and as present."""

    def __init__(self, engine: Engine, gpt: GptSpec, *, rows: int, threads: int = 1) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        self.gpt = gpt
        self.session = ort.InferenceSession(str(engine.model), options, providers=["CPUExecutionProvider"])
        shape = (rows, gpt.heads, 96, gpt.head_width)
        dtype = engine.manifest.inputs["past_key_0"].dtype
        self.cache = {f"{k}_{i}": np.zeros(shape, dtype) for i in range(gpt.layers) for k in ("key", "value")}

    def run(self, embeddings: npt.NDArray[np.float32], start: Sequence[int]) -> npt.NDArray[np.float32]:
        """Continue rows 0 … of the cache at their `start`: embeddings [B, S, width] → logits [B, vocab]."""
        batch, steps = embeddings.shape[:2]
        positions = (np.array(start)[:, None] + np.arange(steps)).astype(np.int64)
        [_, width] = self.session.get_outputs()[0].shape
        logits = np.empty((batch, width), np.float32)
        inputs = {
            "embeddings": np.ascontiguousarray(embeddings),
            "positions": positions,
            "seqlens": positions[:, -1].astype(np.int32),
            "total_length": np.array([positions.max() + 1], np.int32),
        }
        binding = self.session.io_binding()
        bound: list[tuple[Any, str, npt.NDArray[Any]]] = [
            *((binding.bind_input, name, array) for name, array in inputs.items()),
            *((binding.bind_input, f"past_{name}", array[:batch]) for name, array in self.cache.items()),
            *((binding.bind_output, f"present_{name}", array[:batch]) for name, array in self.cache.items()),
            (binding.bind_output, "logits", logits),
        ]
        for bind, name, array in bound:
            bind(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        self.session.run_with_iobinding(binding)
        return logits


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("chunk", [7, 20, 44])
def test_a_prefill_in_chunks_gives_the_same_bits(
    bundle: Bundle, store: EngineStore, precision: Precision, chunk: int
) -> None:
    engine, gpt = make(bundle, stage="coarse", precision=precision, store=store), bundle.spec.coarse.gpt
    embeddings = np.random.default_rng(1).standard_normal((1, 62, gpt.width), np.float32)
    whole, pieces = Decoder(engine, gpt, rows=1), Decoder(engine, gpt, rows=1)
    expected = whole.run(embeddings, [0])
    for start in range(0, 62, chunk):
        logits = pieces.run(embeddings[:, start : start + chunk], [start])
    assert np.array_equal(logits, expected)
    assert all(np.array_equal(pieces.cache[name], cache) for name, cache in whole.cache.items())


def test_decoding_token_by_token_gives_nearly_the_cache_of_a_prefill(bundle: Bundle, store: EngineStore) -> None:
    """Attention of one position sums in another order than attention of several."""
    engine, gpt = make(bundle, stage="coarse", precision="fp32", store=store), bundle.spec.coarse.gpt
    embeddings = np.random.default_rng(1).standard_normal((2, 40, gpt.width), np.float32)
    whole, steps = Decoder(engine, gpt, rows=2), Decoder(engine, gpt, rows=2)
    expected = whole.run(embeddings, [0, 0])
    for position in range(40):
        logits = steps.run(embeddings[:, position : position + 1], [position, position])
    np.testing.assert_allclose(logits, expected, atol=1e-5 * float(np.abs(expected).max()))
    for name, cache in whole.cache.items():
        np.testing.assert_allclose(steps.cache[name], cache, atol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_fine_predicts_the_same_alone_and_beside_other_codebooks(
    bundle: Bundle, store: EngineStore, precision: Precision
) -> None:
    session = validation.open_session(make(bundle, stage="fine", precision=precision, store=store).model)
    sample = GRAPHS["fine"].sample(bundle.spec, 4, 64, np.random.default_rng(2))
    assert len(set(sample["codebook"].ravel())) == 4
    together = validation.run_graph(session, sample)["predictions"]
    for row in range(4):
        alone = validation.run_graph(session, {name: array[row : row + 1] for name, array in sample.items()})
        assert np.array_equal(alone["predictions"][0], together[row])


@pytest.mark.parametrize("frames", [1, 2, 5, 100])
def test_the_codec_computes_short_and_long_audio(bundle: Bundle, store: EngineStore, frames: int) -> None:
    module: Any = load("encodec", bundle)
    decode, encode = (
        validation.open_session(make(bundle, stage=stage, precision="fp32", store=store).model)
        for stage in ("encodec_decode", "encodec_encode")
    )
    codes = np.random.default_rng(3).integers(0, 1024, (2, 8, frames), np.int32)
    with torch.inference_mode():
        audio = module.decode(torch.from_numpy(codes)).numpy()
        expected = module.encode(torch.from_numpy(audio)).numpy()
    np.testing.assert_allclose(validation.run_graph(decode, {"codes": codes})["audio"], audio, atol=1e-4)
    assert (validation.run_graph(encode, {"audio": audio})["codes"] == expected).mean() > 0.99


def test_the_pieces_of_a_decoder_share_their_weights(bundle: Bundle, store: EngineStore) -> None:
    model = onnx.load(make(bundle, stage="encodec_decode", precision="fp32", store=store).model)
    assert [opset.domain for opset in model.opset_import] == [""]
    upsampled = [node.input[1] for node in model.graph.node if node.op_type == "ConvTranspose"]
    layers = len(bundle.spec.encodec.ratios)
    assert (len(upsampled), len(set(upsampled))) == (PIECES * layers, layers)


def test_validation_refuses_a_decoder_whose_chunks_do_not_join(
    bundle: Bundle, store: EngineStore, tmp_path: Path
) -> None:
    engine = make(bundle, stage="encodec_decode", precision="fp32", store=store)
    assert CHUNK_FILE in engine.manifest.files
    decoder_chunks.validate(cast(Encodec, load("encodec", bundle)), path=engine.folder / CHUNK_FILE)
    other = cast(Encodec, load("encodec", random_bundle(tmp_path, bundle.spec, networks=["encodec"], seed=1)))
    with pytest.raises(ExportError, match=r"chunk\.onnx at batch 1 and chunks of"):
        decoder_chunks.validate(other, path=engine.folder / CHUNK_FILE)


@pytest.mark.parametrize("stage", STAGES)
def test_validation_refuses_a_graph_of_other_weights(
    bundle: Bundle, store: EngineStore, tmp_path: Path, stage: Stage
) -> None:
    engine = make(bundle, stage=stage, precision="fp32", store=store)
    other = random_bundle(tmp_path, bundle.spec, networks=[GRAPHS[stage].network], seed=1)
    module = GRAPHS[stage].forward(load(GRAPHS[stage].network, other), other.spec)
    with pytest.raises(ExportError, match=stage):
        validation.validate(stage, module=module, spec=other.spec, precision="fp32", path=engine.model)


def test_validation_refuses_int8_logits_that_differ_too_much(
    bundle: Bundle, store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make(bundle, stage="coarse", precision="int8", store=store)
    monkeypatch.setitem(validation.MIN_NARROW_COSINE, "int8", 1 - 1e-9)
    with pytest.raises(ExportError, match="int8 logits have cosine"):
        module = GRAPHS["coarse"].forward(load("coarse", bundle), bundle.spec)
        validation.validate("coarse", module=module, spec=bundle.spec, precision="int8", path=engine.model)


def test_wide_networks_have_a_stricter_limit_than_narrow_ones() -> None:
    wide, narrow = true_size_spec(), small_spec()
    assert [validation.min_cosine("coarse", spec=spec, precision="int8") for spec in (wide, narrow)] == [0.998, 0.995]
    assert [validation.min_cosine("coarse", spec=spec, precision="int4") for spec in (wide, narrow)] == [0.9, 0.85]


def test_a_free_axis_that_is_exported_as_fixed_is_refused() -> None:
    class Baked(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.ones(2, 3)

    info = GRAPHS["hubert"].inputs(small_spec())
    with pytest.raises(ExportError, match="Axis 0 of tokens is declared as 'batch', and exported as 2"):
        to_onnx(
            Baked(),
            sample={"audio": torch.zeros(2, 3)},
            inputs=info,
            outputs={"tokens": info["audio"]},
        )


def test_the_operators_of_a_network_are_restored_after_an_export(bundle: Bundle, store: EngineStore) -> None:
    """The exporter swaps operators inside the module, and validation then runs the same module."""
    from build_engines.export.operators import onnxruntime_operators

    module: Any = load("hubert", bundle)
    before = [module.encoder.layers[0].attention.attend, module.head.lstm]
    with pytest.raises(RuntimeError), onnxruntime_operators(module):
        assert module.head.lstm is not before[1]
        raise RuntimeError
    assert [module.encoder.layers[0].attention.attend, module.head.lstm] == before


def test_a_precision_that_a_stage_lacks_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BuildError, match="hubert cannot be built in int8"):
        onnx_builder.manifest(bundle, stage="hubert", precision="int8")


def test_the_builder_version_is_stable_within_one_source() -> None:
    version = builder_version(*onnx_builder.SOURCES)
    assert version == builder_version(*onnx_builder.SOURCES)
    assert len(version) == 16
    assert version != builder_version(*onnx_builder.SOURCES[1:])
    with pytest.raises(TypeError):
        builder_version()  # type: ignore[call-arg]  # the hash of no source would be the same for every builder


def test_engines_with_and_without_a_wide_graph_have_different_keys(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keys(exact: bool) -> list[str]:
        monkeypatch.setattr("build_engines.export.build.multiplies_int8_exactly", lambda: exact)
        return [key(onnx_builder.manifest(bundle, stage="fine", precision=precision)) for precision in ("int8", "fp32")]

    here, elsewhere = keys(True), keys(False)
    assert here[0] != elsewhere[0], "the files of an int8 engine depend on the CPU's instructions"
    assert here[1] == elsewhere[1]


def test_large_weights_go_into_a_second_file(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("build_engines.export.graph.EXTERNAL_DATA_ABOVE_BYTES", 100_000)
    engine = make(bundle, stage="coarse", precision="fp32", store=EngineStore(tmp_path))
    assert sorted(engine.manifest.files) == ["model.onnx", "model.onnx.data"]
    engine.verify()


def test_the_commands_build_list_verify_and_prune(bundle: Bundle, tmp_path: Path) -> None:
    runner, engines = CliRunner(), str(tmp_path / "engines")
    options = ["--bundle", str(bundle.folder), "--engines", engines, "--stage", "coarse", "--precision", "fp32"]
    assert "coarse fp32:" in runner.invoke(app, ["engines", *options]).output
    assert "1 exist, 0 to build" in runner.invoke(app, ["engines", *options]).output
    assert "coarse" in runner.invoke(app, ["list", "--engines", engines]).output
    assert runner.invoke(app, ["verify", "--engines", engines]).exit_code == 0
    [engine] = EngineStore(engines).list()
    engine.model.write_bytes(b"")
    broken = runner.invoke(app, ["verify", "--engines", engines])
    assert broken.exit_code == 1
    assert "has sha256" in broken.output
    assert f"Run `bark-build prune --engines {engines}`, then build the engine again." in broken.output
    assert str(engine.folder) in runner.invoke(app, ["prune", "--engines", engines]).output
    assert "has no engines" in runner.invoke(app, ["list", "--engines", engines]).output
