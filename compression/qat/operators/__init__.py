"""ONNX operators as torch functions: one visible table."""

from typing import Final

from compression.qat.operators.elementwise import ELEMENTWISE
from compression.qat.operators.integers import INTEGERS
from compression.qat.operators.layers import LAYERS
from compression.qat.operators.shapes import SHAPES
from compression.qat.operators.signature import Attributes, Inputs, Operator

OPERATORS: Final[dict[str, Operator]] = {**ELEMENTWISE, **INTEGERS, **LAYERS, **SHAPES}
"""By ONNX operator type; what is not here is refused by name."""

__all__ = ["OPERATORS", "Attributes", "Inputs", "Operator"]
