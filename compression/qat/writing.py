"""Puts what was trained back into the ONNX model that it came from: integers, scales, floats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import numpy_helper

from compression.qat.fake_quantize import Bias, FakeQuantizer

if TYPE_CHECKING:
    from compression.qat.graph_module import GraphModule


def write_back(module: GraphModule, model: Any) -> None:
    """Stores a module's tensors and steps in a model's initializers, in place; types and names stay.

    The file then computes what the module computes: the integers are those that the module rounds to, int32
    biases follow the scales of their layer's input and weight, and bounds of clipped activations their scale.

    Args:
        module: of the same model, trained.
        model: the ONNX model that the module was made of.
    """
    stored = {item.name: item for item in model.graph.initializer}

    def put(name: str, values: Any) -> None:
        old = numpy_helper.to_array(stored[name])
        new = np.broadcast_to(np.asarray(values), old.shape).astype(old.dtype)
        if not np.array_equal(old, new):
            stored[name].CopyFrom(numpy_helper.from_array(new, name))

    integers = {grid.integers for grid in module.grids.stored.values()}
    for name in stored.keys() - integers:
        put(name, module.tensor(name).detach().cpu().numpy())
    for value, weight in module.grids.stored.items():
        quantizer = module.quantizer(value)
        values = module.tensor(weight.integers).detach()
        assert isinstance(quantizer, FakeQuantizer | Bias)
        step = quantizer.step().detach()
        put(weight.integers, quantizer.integers(values).cpu().numpy())
        put(weight.scale, step.cpu().numpy().reshape(numpy_helper.to_array(stored[weight.scale]).shape))
    for activation in module.grids.activations.values():
        step = float(module.step_of(activation.step)().detach())
        for name in (activation.scale, *module.grids.mirrors.get(activation.scale, ())):
            put(name, step)
        if activation.clip is not None:
            ends = (activation.low, activation.high)
            for name, end in zip(activation.clip, ends, strict=True):
                put(name, np.float32(step) * (end - activation.zero))
