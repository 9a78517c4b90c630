"""Applies a recipe with llm-compressor and reads the scales back."""

import sys

import torch
from llmcompressor.args import DatasetArguments
from llmcompressor.core import active_session
from llmcompressor.pipelines import CalibrationPipeline

from tests.interop.checks.given import Given


def read(module):
    scheme = getattr(module, "quantization_scheme", None)
    if scheme is None:
        return None
    scale, weights, inputs = module.weight_scale, scheme.weights, scheme.input_activations
    columns = module.weight.shape[1]
    size = columns // scale.shape[1] if scale.ndim == 2 else columns
    by = "tensor" if scale.numel() == 1 else "channel" if size == columns else f"group {size}"
    activation = "none"
    if inputs is not None:
        activation = f"{inputs.num_bits} {'static' if hasattr(module, 'input_scale') else 'dynamic'}"
    return [weights.num_bits, by, not bool(module.weight_zero_point.any()), activation]


given = Given(sys.argv[1])
session = active_session()
session.reset()
batches = [{"x": inputs} for inputs in given.calibration]
session.initialize(model=given.model, start=-1, recipe=str(given.file), calib_data=batches)
pipeline = CalibrationPipeline.from_modifiers(session.lifecycle.recipe.modifiers, user="basic")
pipeline(given.model, batches, DatasetArguments())
session.finalize()
with torch.no_grad():
    given.answer({name: read(module) for name, module in given.layers()}, given.model(given.validation))
