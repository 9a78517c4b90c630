"""Olive: a run configuration of its ONNX quantization passes on ``float.onnx``.

The passes call ONNX Runtime's functions, so they say what those say. Read in the source of olive-ai 0.13, and
checked with it by `make interop`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from recipes.conversion import Conversion, Loss
from recipes.converters.onnxruntime import onnxruntime_calls

if TYPE_CHECKING:
    from recipes.recipe import Recipe
    from spaces import LayerInventory

FORMAT: Final = "olive"

_CALIBRATION: Final = Loss(
    None,
    "activation",
    "the calibration data: a run configuration names data, it holds none",
    "write calibration.py beside it, whose function calibration_data is registered with Registry."
    "register_dataset and returns (inputs by name, label) pairs",
)


@dataclass(frozen=True, slots=True)
class Olive:
    """What `recipes.converters.onnxruntime` can say, as passes."""

    tool: str = "olive-ai 0.13"
    suffix: str = ".json"

    def convert(self, recipe: Recipe, inventory: LayerInventory) -> Conversion:
        """The quantization of a policy's layers; see `Converter`."""
        calls, losses = onnxruntime_calls(recipe, inventory)
        document: dict[str, Any] = {"input_model": {"type": "ONNXModel", "model_path": "float.onnx"}}
        passes: dict[str, Any] = {}
        if "quantize_dynamic" in calls:
            passes["dynamic"] = _pass("OnnxDynamicQuantization", calls["quantize_dynamic"])
        if "quantize_static" in calls:
            passes["static"] = _pass("OnnxStaticQuantization", calls["quantize_static"]) | {
                "data_config": "calibration"
            }
            document["data_configs"] = [
                {
                    "name": "calibration",
                    "user_script": "calibration.py",
                    "load_dataset_config": {"type": "calibration_data"},
                    "dataloader_config": {"batch_size": 1},
                }
            ]
            losses.append(_CALIBRATION)
        document |= {"passes": passes, "output_dir": "olive-output"}
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        return Conversion(FORMAT, self.tool, text, tuple(losses))


def _pass(kind: str, arguments: dict[str, Any]) -> dict[str, Any]:
    options = dict(arguments["extra_options"])
    document: dict[str, Any] = {
        "type": kind,
        "precision": "int8",
        "nodes_to_quantize": arguments["nodes_to_quantize"],
        "per_channel": arguments["per_channel"],
        "reduce_range": arguments["reduce_range"],
        "weight_symmetric": options.pop("WeightSymmetric"),
        "quant_preprocess": False,  # it would fuse nodes and lose their names
    }
    if "op_types_to_quantize" in arguments:
        document["op_types_to_quantize"] = arguments["op_types_to_quantize"]
    if kind == "OnnxStaticQuantization":
        document |= {
            "activation_type": "uint8",
            "activation_symmetric": options.pop("ActivationSymmetric"),
            "calibrate_method": arguments["calibrate_method"],
            "quant_format": arguments["quant_format"],
            "prepare_qdq_config": False,  # it would forget which nodes to quantize (0.13)
        }
    return document | ({"extra_options": options} if options else {})
