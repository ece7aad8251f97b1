"""The profiles rtx and tensorrt on a GPU: logits of every batch are those of ONNX Runtime in fp32 on the CPU.

`--gpu-device cpu` runs these tests on the graph in place of the plan, and proves nothing about a GPU.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from bark_serving.bundle import Bundle, mapped
from bark_serving.decoding.rules import rule_of
from bark_serving.decoding.sampler import NumpySampler, SampleRequest
from bark_serving.decoding.sampling import Sampling
from bark_serving.host import gpus
from bark_serving.profiles import TABLE, Precision
from bark_serving.runtimes.device import Device
from bark_serving.runtimes.plan_gpt import PlanGpt
from build_engines.errors import BuildError
from build_engines.export import graph
from build_engines.tensorrt import compiler, dialect, gpt
from build_engines.tensorrt.library import Flavour, Library, load_library
from build_engines.tensorrt.shapes import shapes
from tests.bundles import coarse_of_width, random_bundle
from tests.plan_on_cpu import CpuDevice

pytestmark = pytest.mark.gpu
ROWS = 8
MIN_COSINE = {"fp16": 0.9999, "bf16": 0.999, "int4": 0.95}


@pytest.fixture(scope="module")
def number(request: pytest.FixtureRequest) -> int | None:
    """The GPU's number; None for the CPU."""
    name: str = request.config.getoption("gpu_device")
    if name == "cpu":
        return None
    return int(name.removeprefix("cuda:"))


@pytest.fixture(scope="module", params=["tensorrt_rtx", "tensorrt"])
def library(request: pytest.FixtureRequest, number: int | None) -> Library:
    """Either TensorRT, where it is installed and knows the GPU. On the CPU it does not matter which."""
    flavour: Flavour = request.param
    if number is None:
        return Library(flavour, None, "")
    served = TABLE["rtx"].architectures or ()
    if flavour == "tensorrt_rtx" and not set(gpus.architectures((number,))) & set(served):
        pytest.skip(f"NO GPU that the rtx profile serves on ({', '.join(served)}): it did not run")
    try:
        return load_library(flavour)
    except BuildError as error:
        pytest.skip(f"{error}: its profile did not run")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return random_bundle(tmp_path_factory.mktemp("rtx") / "bundle", coarse_of_width(256), networks=["coarse"])


def opened(
    bundle: Bundle, folder: Path, precision: Precision, *, number: int | None, library: Library | None = None
) -> PlanGpt:
    """The coarse network's plan on the GPU, or its graph on the CPU."""
    spec, plan = bundle.spec, folder / "engines/plan/model.plan"
    plan.parent.mkdir(parents=True)
    graph.save(dialect.export(bundle, stage="coarse", precision=precision), plan)
    device: Device = CpuDevice()
    if number is not None and library is not None:
        from bark_serving.runtimes.nvidia_device import NvidiaDevice

        device = NvidiaDevice(number, library.api)
        built = compiler.build(
            plan,
            library=library,
            inputs=dialect.inputs(spec, stage="coarse", precision=precision),
            outputs=dialect.plan_outputs(spec, stage="coarse", precision=precision),
            shapes=shapes("coarse", spec),
            architectures=gpus.architectures((number,)) if library.flavour == "tensorrt_rtx" else (),
            check_network=partial(gpt.check_network, layers=spec.coarse.gpt.layers),
        )
        plan.write_bytes(built.data)
    return PlanGpt(
        device,
        plan,
        gpt=spec.coarse.gpt,
        rule=rule_of("coarse", spec),
        embeddings=mapped(bundle.weights("coarse"), "token_embedding.weight"),
        cache_type=gpt.COMPUTE[precision],
        rows=ROWS,
    )


def logits_of(plan: PlanGpt) -> list[np.ndarray]:
    """Logits of prefills, of steps of all batches at different positions, and after a row was moved."""
    rng = np.random.default_rng(0)
    lengths = np.array([7, 300, 1, 887, 64, 40, 512, 3], np.int32)
    found = [
        plan.prefill(row, plan.embed(rng.integers(0, 12_000, length))).copy() for row, length in enumerate(lengths)
    ]
    for batch in (1, 2, 3, 5, 8):
        found += list(plan.decode(plan.embed(rng.integers(0, 12_000, batch)), lengths[:batch]).copy())
        lengths[:batch] += 1
    plan.move(3, 0, int(lengths[3]))
    found += list(plan.decode(plan.embed(rng.integers(0, 12_000, 1)), lengths[3:4]).copy())
    return found


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int4"])
def test_logits_on_the_gpu_are_close_to_fp32_on_the_cpu(
    bundle: Bundle, tmp_path: Path, number: int | None, library: Library, precision: Precision
) -> None:
    if number is None and precision == "bf16":
        pytest.skip("ONNX Runtime does not compute in bf16")
    ours = logits_of(opened(bundle, tmp_path / "ours", precision, number=number, library=library))
    for one, exact in zip(ours, logits_of(opened(bundle, tmp_path / "cpu", "fp32", number=None)), strict=True):
        assert one @ exact / np.linalg.norm(one) / np.linalg.norm(exact) > MIN_COSINE[precision]


def test_the_plan_samples_what_numpy_samples_from_its_logits(
    bundle: Bundle, tmp_path: Path, number: int | None, library: Library
) -> None:
    plan = opened(bundle, tmp_path, "fp16", number=number, library=library)
    prompt = plan.embed(np.arange(50))
    requests = [SampleRequest(0, Sampling(temperature=3.0), uniform) for uniform in np.linspace(0, 0.999, 50)]
    ours = [plan.prefill_and_sample(1, prompt, request).tokens[0] for request in requests]
    theirs = [NumpySampler(plan, plan.rule).prefill_and_sample(1, prompt, request).tokens[0] for request in requests]
    assert np.mean(np.array(ours) == np.array(theirs)) >= 0.98 and len(set(ours)) > 5
