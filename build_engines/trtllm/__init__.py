"""TensorRT-LLM engines of the two GPT stages. Not yet run on hardware: see the checks in tests/build_engines/trtllm."""
