"""Quantization of chosen layers in an ONNX file, each in its own formats; the others stay float."""

from compression.quantization.apply import LAYERS_KEY, quantize
from compression.quantization.calibration import calibrate
from compression.quantization.plan import LayerPlan, check_formats, has_static_layers

__all__ = ["LAYERS_KEY", "LayerPlan", "calibrate", "check_formats", "has_static_layers", "quantize"]
