"""Estimates of the time and disk space that building an engine takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bark_serving.bundle import Bundle, BundleError
from bark_serving.engines.manifest import Manifest
from bark_serving.engines.store import EngineStore
from bark_serving.profiles import Precision, Stage
from bark_serving.spec import Network

Maker = Literal["onnxruntime", "tensorrt", "tensorrt_rtx", "tensorrt_llm"]

_NETWORKS: dict[Stage, Network] = {
    "semantic": "semantic",
    "coarse": "coarse",
    "fine": "fine",
    "encodec_decode": "encodec",
    "encodec_encode": "encodec",
    "hubert": "hubert",
}
#: Bytes of an engine per byte of the bundle, which is fp32.
_BYTES: dict[Precision, float] = {"fp32": 1.0, "fp16": 0.5, "bf16": 0.5, "int8": 0.53, "int4": 0.4}
#: Seconds per engine, and seconds per gigabyte of the bundle's weights. ONNX Runtime and TensorRT for RTX: measured on
#: two cores. TensorRT and TensorRT-LLM, which try out kernels on the GPU: guesses, until the store has such an engine.
_SECONDS: dict[Maker, tuple[float, float]] = {
    "onnxruntime": (6, 40),
    "tensorrt_rtx": (10, 35),
    "tensorrt": (30, 120),
    "tensorrt_llm": (30, 120),
}


@dataclass(frozen=True)
class Estimate:
    """What one engine takes."""

    seconds: float
    size: int  #: bytes it keeps on disk
    scratch: int  #: further bytes that are needed while it is built


def estimate(bundle: Bundle, *, stage: Stage, precision: Precision, maker: Maker, store: EngineStore) -> Estimate:
    """From the size of the weights, and from the time that a similar engine of the store took, if there is one."""
    try:
        weights = bundle.weights(_NETWORKS[stage]).stat().st_size
    except BundleError:  # building reports the error; this is only an estimate
        weights = 0
    if _NETWORKS[stage] == "encodec":
        weights //= 2  # one engine for the encoder, one for the decoder
    size = int(weights * _BYTES[precision])
    fixed, rate = _SECONDS[maker]
    expected = seconds = fixed + rate * weights / 1e9
    for engine in store.list():
        if engine.manifest.seconds and _similar(engine.manifest, stage, precision, maker):
            # in the ratio that is expected: most of the time that a small engine takes is fixed
            similar = fixed + rate * engine.size / _BYTES[precision] / 1e9
            seconds = engine.manifest.seconds * max(1.0, expected / similar)
            break
    return Estimate(seconds=seconds, size=size, scratch=size)


def _similar(manifest: Manifest, stage: Stage, precision: Precision, maker: Maker) -> bool:
    return (manifest.stage, manifest.precision) == (stage, precision) and maker in manifest.versions
