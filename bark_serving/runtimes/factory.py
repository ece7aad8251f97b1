"""Opens what runs below the Python models: from a profile and a few settings to the runtimes of a stage.

A profile's libraries are imported only when the profile is used.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from bark_serving.arrays import Array
from bark_serving.bundle import mapped
from bark_serving.decoding.rules import Rule, head_rows, rule_of
from bark_serving.decoding.sampler import NumpySampler, Sampler
from bark_serving.engines.kernels import packed_weights
from bark_serving.engines.store import read_engine
from bark_serving.profiles import TABLE, Profile, Stage
from bark_serving.runtimes.settings import RuntimeSettings
from bark_serving.spec import GptStage

if TYPE_CHECKING:
    from bark_serving.runtimes.device import Device
    from bark_serving.runtimes.native import NativeGpt
    from bark_serving.runtimes.onnx_gpt import OnnxGpt

#: Stages that only cloning uses. Their weights stay memory-mapped: calls are slower, and no memory is resident.
_CLONING_ONLY: frozenset[Stage] = frozenset({"hubert", "encodec_encode"})


class Network(Protocol):
    """A stateless network."""

    def __call__(self, inputs: dict[str, Array], outputs: list[str], /) -> dict[str, Any]:
        """Arrays by name → the requested outputs by name."""


def open_gpts(stage: GptStage, settings: RuntimeSettings, *, max_batch: int) -> Sequence[Sampler]:
    """What decode loops run: one sampler per device, with the stage's rule and ``max_batch`` rows of KV cache."""
    return _GPTS[settings.profile](stage, settings, rule_of(stage, settings.bundle.spec), max_batch)


def open_network(stage: Stage, settings: RuntimeSettings, *, device: str) -> Network:
    """A stateless network on one device."""
    return _NETWORKS[settings.profile](stage, settings, device)


def _cpu_gpts(stage: GptStage, settings: RuntimeSettings, rule: Rule, max_batch: int) -> Sequence[Sampler]:
    engine, spec = _engine(settings), settings.bundle.spec.gpt(stage)
    embeddings = mapped(settings.bundle.weights(stage), "token_embedding.weight")
    gpt: NativeGpt | OnnxGpt
    if settings.kernels and (weights := packed_weights(engine)):
        from bark_serving.runtimes.native import NativeGpt

        gpt = NativeGpt(weights, gpt=spec, embeddings=embeddings, rows=max_batch, threads=settings.threads)
    else:
        from bark_serving.runtimes.onnx_gpt import OnnxGpt

        gpt = OnnxGpt(engine, gpt=spec, embeddings=embeddings, rows=max_batch, threads=settings.threads)
    head = head_rows(rule)
    if gpt.logits != head.stop - head.start:
        raise ValueError(
            f"{engine} gives {gpt.logits} logits, the rule needs {head.stop - head.start}: build it again."
        )
    return [NumpySampler(gpt, rule)]


def _cpu_network(stage: Stage, settings: RuntimeSettings, device: str) -> Network:
    if stage == "fine" and settings.kernels and (weights := packed_weights(_engine(settings))):
        from bark_serving.runtimes.native import NativeFine

        tables = mapped(settings.bundle.weights("fine"), "token_embedding.weight")
        return NativeFine(weights, spec=settings.bundle.spec.fine, tables=tables, threads=settings.threads)
    from bark_serving.runtimes.onnx_session import CHUNK_FILE, open_session, run, run_with_state, wide_graph

    engine = _engine(settings)
    session = open_session(wide_graph(engine), threads=settings.threads, prepack=stage not in _CLONING_ONLY)
    if stage == "encodec_decode":
        return partial(run_with_state, session, open_session(engine / CHUNK_FILE, threads=settings.threads))
    return partial(run, session)


def _torch_gpts(stage: GptStage, settings: RuntimeSettings, rule: Rule, max_batch: int) -> Sequence[Sampler]:
    from bark_serving.networks import Gpt, load
    from bark_serving.runtimes.torch_device import open_device
    from bark_serving.runtimes.torch_gpt import TorchGpt

    return [
        TorchGpt(
            cast(Gpt, load(stage, settings.bundle)),
            rule=rule,
            embeddings=mapped(settings.bundle.weights(stage), "token_embedding.weight"),
            rows=max_batch,
            device=open_device(name, threads=settings.threads),
            precision=settings.precision,
        )
        for name in settings.devices
    ]


def _torch_network(stage: Stage, settings: RuntimeSettings, device: str) -> Network:
    from bark_serving.runtimes.torch_device import open_device
    from bark_serving.runtimes.torch_networks import TorchNetwork

    opened = open_device(device, threads=settings.threads)
    return TorchNetwork(stage, settings.bundle, device=opened, precision=settings.precision)


def _plan_gpts(stage: GptStage, settings: RuntimeSettings, rule: Rule, max_batch: int) -> Sequence[Sampler]:
    from bark_serving.runtimes.plan_gpt import PlanGpt

    engine = read_engine(_engine(settings))
    return [
        PlanGpt(
            _open_gpu(settings.profile, name),
            engine.model,
            gpt=settings.bundle.spec.gpt(stage),
            rule=rule,
            embeddings=mapped(settings.bundle.weights(stage), "token_embedding.weight"),
            cache_type=engine.manifest.inputs["past_key_0"].dtype,
            rows=max_batch,
        )
        for name in settings.devices
    ]


def _plan_network(stage: Stage, settings: RuntimeSettings, device: str) -> Network:
    from bark_serving.runtimes.plan_network import PlanNetwork

    engine = read_engine(_engine(settings))
    return PlanNetwork(_open_gpu(settings.profile, device), engine.model, manifest=engine.manifest)


def _open_gpu(profile: Profile, name: str) -> Device:
    """The GPU of a device such as ``cuda:0``, with the TensorRT of the profile."""
    from bark_serving.runtimes.nvidia_device import NvidiaDevice

    return NvidiaDevice(int(name.removeprefix("cuda:")), importlib.import_module(str(TABLE[profile].module)))


def _engine(settings: RuntimeSettings) -> Path:
    if settings.engine is None:
        raise ValueError(f"the {settings.profile} profile needs an engine; render the repository again")
    return settings.engine


_GPTS: Mapping[Profile, Callable[[GptStage, RuntimeSettings, Rule, int], Sequence[Sampler]]] = {
    "cpu": _cpu_gpts,
    "rtx": _plan_gpts,
    "tensorrt": _plan_gpts,
    "torch": _torch_gpts,
}
_NETWORKS: Mapping[Profile, Callable[[Stage, RuntimeSettings, str], Network]] = {
    "cpu": _cpu_network,
    "rtx": _plan_network,
    "tensorrt": _plan_network,
    "torch": _torch_network,
}
