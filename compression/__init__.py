"""How a policy is applied: students, pruning, quantization, distillation, artifacts."""

from compression.artifact import Artifact, Deployment
from compression.compress import Compressed, Shaped, compress, deploy, shape
from compression.distillation import soft_loss
from compression.export import OPSET, export_float, input_names, one_line
from compression.graph import WEIGHT_OPS, layer_of, layer_of_node, output_layers
from compression.inventory import list_layers, take_inventory
from compression.saving import load, save
from compression.students import build_student
from compression.tracing import evaluating
from compression.workload import Batch, HasStudents, Split, Workload, main_output

__all__ = [
    "OPSET",
    "WEIGHT_OPS",
    "Artifact",
    "Batch",
    "Compressed",
    "Deployment",
    "HasStudents",
    "Shaped",
    "Split",
    "Workload",
    "build_student",
    "compress",
    "deploy",
    "evaluating",
    "export_float",
    "input_names",
    "layer_of",
    "layer_of_node",
    "list_layers",
    "load",
    "main_output",
    "one_line",
    "output_layers",
    "save",
    "shape",
    "soft_loss",
    "take_inventory",
]
