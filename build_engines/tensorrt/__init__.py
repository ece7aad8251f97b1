"""Networks to TensorRT plans. `build.make` is the way in: one stage of a bundle for one GPU architecture."""
