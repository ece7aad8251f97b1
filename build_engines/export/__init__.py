"""Networks to ONNX engines. `build.make` is the way in: one stage of a bundle, exported, validated, stored."""
