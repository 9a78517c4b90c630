"""Applies a configuration with NVIDIA Model Optimizer and reads its quantizers back."""

import sys

import modelopt.torch.quantization as mtq
import torch
import yaml

from tests.interop.checks.given import Given


def read(module):
    weight, inputs = module.weight_quantizer, module.input_quantizer
    if not weight.is_enabled:
        return None
    sizes = weight.block_sizes
    by = f"group {sizes[-1]}" if sizes else "channel" if weight.axis == 0 else "tensor"
    mode = "dynamic" if inputs.is_enabled and inputs._dynamic else "static"
    activation = f"{inputs.num_bits} {mode}" if inputs.is_enabled else "none"
    return [weight.num_bits, by, True, activation]


def calibrate(model):
    for inputs in given.calibration:
        model(inputs)


given = Given(sys.argv[1])
model = mtq.quantize(given.model, yaml.safe_load(given.file.read_text()), calibrate)
with torch.no_grad():
    given.answer({name: read(model.get_submodule(name)) for name in given.names}, model(given.validation))
