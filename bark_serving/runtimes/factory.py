"""One factory for what runs below the Python models: a profile and a few settings → runtimes of a stage.

Each profile's libraries are imported only when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

from bark_serving.arrays import Array
from bark_serving.bundle import mapped
from bark_serving.decoding.rules import rule_of
from bark_serving.decoding.sampler import Runtime
from bark_serving.profiles import Profile, Stage
from bark_serving.runtimes.settings import RuntimeSettings
from bark_serving.spec import GptSpec, GptStage

#: Stages that only cloning a voice needs: they may take longer, and should cost nothing meanwhile.
_SELDOM: frozenset[Stage] = frozenset({"hubert", "encodec_encode"})


class Network(Protocol):
    """A network without state."""

    def __call__(self, inputs: dict[str, Array], outputs: list[str], /) -> dict[str, Any]:
        """Named arrays in, the named outputs out."""


def open_gpts(stage: GptStage, settings: RuntimeSettings, *, rows: int) -> Sequence[Runtime]:
    """A GPT's runtime on each device, with ``rows`` sequences each."""
    return _GPTS[settings.profile](stage, settings, rows)


def open_network(stage: Stage, settings: RuntimeSettings, *, device: str) -> Network:
    """A network without state on one device."""
    return _NETWORKS[settings.profile](stage, settings, device)


def _onnx_gpts(stage: GptStage, settings: RuntimeSettings, rows: int) -> Sequence[Runtime]:
    from bark_serving.runtimes.onnx_gpt import OnnxGpt

    spec: GptSpec = settings.bundle.spec.gpt(stage)
    embeddings = mapped(settings.bundle.weights(stage), "token_embedding.weight")
    rule = rule_of(stage, settings.bundle.spec)
    return [OnnxGpt(_engine(settings), gpt=spec, rule=rule, embeddings=embeddings, rows=rows, threads=settings.threads)]


def _onnx_network(stage: Stage, settings: RuntimeSettings, device: str) -> Network:
    from bark_serving.runtimes.onnx_session import open_session, run, wide_graph

    session = open_session(wide_graph(_engine(settings)), threads=settings.threads, resident=stage not in _SELDOM)
    return partial(run, session)


def _torch_gpts(stage: GptStage, settings: RuntimeSettings, rows: int) -> Sequence[Runtime]:
    from bark_serving.networks import Gpt, load
    from bark_serving.runtimes.torch_device import open_device
    from bark_serving.runtimes.torch_gpt import TorchGpt

    return [
        TorchGpt(
            cast(Gpt, load(stage, settings.bundle)),
            rule=rule_of(stage, settings.bundle.spec),
            embeddings=mapped(settings.bundle.weights(stage), "token_embedding.weight"),
            rows=rows,
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


def _engine(settings: RuntimeSettings) -> Path:
    if settings.engine is None:
        raise ValueError(f"the {settings.profile} profile needs an engine; render the repository again")
    return settings.engine


_GPTS: Mapping[Profile, Callable[[GptStage, RuntimeSettings, int], Sequence[Runtime]]] = {
    "cpu": _onnx_gpts,
    "torch": _torch_gpts,
}
_NETWORKS: Mapping[Profile, Callable[[Stage, RuntimeSettings, str], Network]] = {
    "cpu": _onnx_network,
    "torch": _torch_network,
}
