"""Training through quantization: an ONNX graph as a torch module, fake quantization, and the way back."""

from compression.qat.graph_module import GraphModule
from compression.qat.training import train_quantized
from compression.qat.walkable import check_walkable

__all__ = ["GraphModule", "check_walkable", "train_quantized"]
