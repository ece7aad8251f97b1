"""What runs a stage in this process: ONNX Runtime or torch.

Only the ``torch_*`` modules import torch, and only the torch profile imports those modules.
"""
