"""What runs a stage in this process: our kernels, ONNX Runtime, TensorRT plans or torch.

Only the ``torch_*`` modules import torch, and only the torch profile imports those modules.
"""
