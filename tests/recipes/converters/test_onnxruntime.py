import json

import onnx
import pytest
from onnxruntime.quantization import (
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from compression.graph import layer_of
from spaces import ActivationFormat, LayerPolicy, Policy, Prune, WeightFormat
from tests.models import Around, Attention, Reusing
from tests.recipes.converters.cases import STATIC, Applied, Reading, losses_by_layer
from tests.recipes.converters.qdq import read_layers

pytestmark = pytest.mark.filterwarnings("ignore")  # the quantizer warns of what its own defaults do

DYNAMIC = LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "dynamic"))


def run_tool(text, source, target, feeds):
    """What the documentation tells a reader to do with the file."""
    document = json.loads(text)
    if "quantize_dynamic" in document:
        arguments = document["quantize_dynamic"]
        arguments["weight_type"] = QuantType.from_string(arguments["weight_type"])
        quantize_dynamic(source, target, **arguments)
        source = target
    if "quantize_static" in document:
        arguments = document["quantize_static"]
        for key in ("weight_type", "activation_type"):
            arguments[key] = QuantType.from_string(arguments[key])
        arguments["quant_format"] = QuantFormat[arguments["quant_format"]]
        arguments["calibrate_method"] = CalibrationMethod[arguments["calibrate_method"]]
        quantize_static(source, target, Reading(feeds), **arguments)


@pytest.fixture(scope="module", params=["minmax", "percentile", "entropy"])
def applied(request, digits, digits_model, tmp_path_factory):
    activation = ActivationFormat(8, "static", request.param)
    names = ("stage1.0.conv1", "stage1.0.conv2", "stage2.0.conv1", "stage2.0.conv2", "head")
    layers = {name: LayerPolicy(weight=WeightFormat(8), activation=activation) for name in names}
    layers["stage1.1.conv1"] = LayerPolicy(Prune(0.5))
    return Applied(digits, digits_model, Policy(layers=layers), tmp_path_factory.mktemp("ort"))


def test_the_tool_quantizes_the_policys_layers_and_no_others_to_the_claimed_accuracy(applied, tmp_path):
    conversion = applied.convert("onnxruntime")

    run_tool(conversion.text, applied.float_onnx, tmp_path / "made.onnx", applied.calibration())

    quantized = {name for name, layer in applied.policy.layers.items() if layer.is_quantized}
    found = read_layers(tmp_path / "made.onnx")
    in_float = dict.fromkeys(applied.inventory.by_name, (32, None, None, 32))
    in_float["stage2.0.shortcut.0"] = (32, None, None, 8)  # it reads what stage2.0.conv1 reads, as reported
    assert found == in_float | dict.fromkeys(quantized, (8, "channel", True, 8))
    assert applied.is_as_claimed(applied.accuracy_of_file(tmp_path / "made.onnx"))


def test_what_it_cannot_say_is_reported_layer_by_layer(applied):
    losses = losses_by_layer(applied.convert("onnxruntime"))

    assert losses == {("stage1.1.conv1", "prune"), (None, "weight"), (None, "activation")}


def test_dynamic_and_static_layers_of_one_model_come_out_as_they_should(digits, tmp_path):
    workload = Around(digits, Attention, epochs=120)
    layers = {"query": STATIC, "key": STATIC, "up": DYNAMIC, "down": DYNAMIC, "out": DYNAMIC}
    applied = Applied(workload, workload.model(), Policy(layers=layers), tmp_path)

    run_tool(
        applied.convert("onnxruntime").text, applied.float_onnx, tmp_path / "made.onnx", applied.calibration()
    )

    graph = onnx.load(tmp_path / "made.onnx").graph
    integers = {
        layer_of(node.name) for node in graph.node if node.op_type in {"MatMulInteger", "ConvInteger"}
    }
    found = read_layers(tmp_path / "made.onnx")
    assert integers == {"up", "down", "out"}
    assert {name for name, form in found.items() if form == (8, "channel", True, 8)} == {"query", "key"}
    assert {name for name, form in found.items() if form[0] == 32} == {"embed", "mix", "value"}
    assert applied.is_as_claimed(applied.accuracy_of_file(tmp_path / "made.onnx"))


def test_every_call_of_a_layer_is_named(digits, tmp_path):
    workload = Around(digits, Reusing, epochs=0)
    applied = Applied(workload, workload.model(), Policy(layers={"shared": STATIC}), tmp_path)

    arguments = json.loads(applied.convert("onnxruntime").text)["quantize_static"]

    nodes = [node.name for node in onnx.load(applied.float_onnx).graph.node]
    assert arguments["nodes_to_quantize"] == ["@shared@0", "@shared@1"]
    assert set(arguments["nodes_to_quantize"]) < set(nodes)


@pytest.mark.parametrize(
    ("layer", "part"),
    [
        (LayerPolicy(weight=WeightFormat(4), activation=ActivationFormat(8, "static")), "weight"),
        (LayerPolicy(weight=WeightFormat(8)), "activation"),
        (LayerPolicy(weight=WeightFormat(16)), "weight"),
        (
            LayerPolicy(weight=WeightFormat(8, "group", 16), activation=ActivationFormat(8, "static")),
            "weight",
        ),
        (LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "static", "mse")), "activation"),
        (LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(4, "static")), "activation"),
        (LayerPolicy(weight=WeightFormat(8, "tensor"), activation=ActivationFormat(8, "static")), "weight"),
        (
            LayerPolicy(weight=WeightFormat(8, symmetric=False), activation=ActivationFormat(8, "dynamic")),
            "weight",
        ),
    ],
)
def test_a_format_that_it_lacks_is_left_out_and_named(applied, layer, part):
    from recipes import convert
    from tests.recipes.samples import recipe

    layers = {"stage1.0.conv1": STATIC, "stage1.0.conv2": STATIC, "stage2.0.conv1": layer}

    conversion = convert(recipe(Policy(layers=layers)), "onnxruntime", applied.inventory)

    assert ("stage2.0.conv1", part) in losses_by_layer(conversion)
    assert "stage2.0.conv1" not in conversion.text
    assert json.loads(conversion.text)["quantize_static"]["nodes_to_quantize"] == [
        "@stage1.0.conv1@0",
        "@stage1.0.conv2@0",
    ]
