"""Simulates a runtime configuration with AIMET and reads its quantizers back."""

import sys

import torch

# AIMET imports torchvision, whose wheel of the index is built for CUDA: its compiled operators do not load next
# to a CPU build of torch, and importing it fails on those that it describes. The networks here use none.
operators = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from aimet_torch.quantsim import QuantizationSimModel  # noqa: E402

from tests.interop.checks.given import Given  # noqa: E402


def read(module):
    weight, inputs = module.param_quantizers["weight"], module.input_quantizers[0]
    if weight is None:
        return None
    by = "channel" if len(weight.shape) > 0 and weight.shape[0] > 1 else "tensor"
    return [weight.bitwidth, by, weight.symmetric, "none" if inputs is None else f"{inputs.bitwidth} static"]


def calibrate(model):
    for inputs in given.calibration:
        model(inputs)


given = Given(sys.argv[1])
simulation = QuantizationSimModel(given.model, given.calibration[0], config_file=str(given.file))
simulation.compute_encodings(calibrate)
model = simulation.model
with torch.no_grad():
    given.answer({name: read(model.get_submodule(name)) for name in given.names}, model(given.validation))
