"""Training through quantization: an ONNX graph as a torch module, fake quantization, and the way back."""

from compression.qat.graph_module import GraphModule
from compression.qat.training import train_quantized

__all__ = ["GraphModule", "train_quantized"]
