"""Networks to TensorRT plans. `make` is the way in: one stage of a bundle for one GPU architecture."""

from __future__ import annotations

from build_engines.tensorrt.build import PLAN_STAGES, STEPS, make, manifest_of

__all__ = ["PLAN_STAGES", "STEPS", "make", "manifest_of"]
