"""Applies a configuration with Intel Neural Compressor and reads its packed layers back."""

import json
import sys

import torch
from neural_compressor.torch.quantization import RTNConfig, convert, prepare

from tests.interop.checks.given import Given


def read(module):
    if type(module).__name__ != "INCWeightOnlyLinear":
        return None
    whole = module.group_size in {-1, module.in_features}
    zeros = {zero for row in module.qzeros for zero in unpacked(row, module)}
    by = "channel" if whole else f"group {module.group_size}"
    return [module.bits, by, len(zeros) == 1, "none"]


def unpacked(row, module):
    """The zero points of a row: as many of `bits` bits as fit into each 32-bit word."""
    count = 32 // module.bits
    words = [int(word) & 0xFFFFFFFF for word in row]
    values = [
        word >> module.bits * place & (1 << module.bits) - 1 for word in words for place in range(count)
    ]
    return values[: module.out_features]


given = Given(sys.argv[1])
config = RTNConfig.from_dict(json.loads(given.file.read_text()))
model = convert(prepare(given.model, config))
with torch.no_grad():
    given.answer({name: read(model.get_submodule(name)) for name in given.names}, model(given.validation))
