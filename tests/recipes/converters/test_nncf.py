import subprocess
import sys

import onnx
import pytest

from recipes import convert
from spaces import ActivationFormat, LayerPolicy, Policy, Prune, WeightFormat
from tests.models import Around, Attention
from tests.recipes.converters.cases import STATIC, Applied, losses_by_layer
from tests.recipes.converters.qdq import read_layers
from tests.recipes.samples import recipe

pytestmark = pytest.mark.filterwarnings("ignore")  # nncf and openvino warn of their own dependencies


def run_tool(text, source, target, feeds):
    import nncf

    scope = {}
    exec(compile(text, "recipe.py", "exec"), scope)  # the file is a script by design
    onnx.save(scope["compress"](onnx.load(source), nncf.Dataset(feeds)), target)


def openvino_accuracy(applied, path):
    import numpy as np
    import openvino

    from evaluators.accuracy import accuracy

    core = openvino.Core()
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    outputs, targets = [], []
    for inputs, expected in applied.workload.batches("validation", 64):
        outputs.append(compiled([inputs[0].numpy()])[0])
        targets.append(expected.numpy())
    return accuracy(applied.workload, np.concatenate(outputs), np.concatenate(targets), "validation")


@pytest.fixture(scope="module")
def applied(digits, digits_model, tmp_path_factory):
    names = ("stage1.0.conv1", "stage1.0.conv2", "stage2.0.conv1", "head")
    layers = dict.fromkeys(names, STATIC) | {"stage1.1.conv1": LayerPolicy(Prune(0.5))}
    return Applied(digits, digits_model, Policy(layers=layers), tmp_path_factory.mktemp("nncf"))


def test_the_tool_quantizes_the_policys_layers_and_no_others_to_the_claimed_accuracy(applied, tmp_path):
    conversion = applied.convert("nncf")

    run_tool(conversion.text, applied.float_onnx, tmp_path / "made.onnx", applied.calibration())

    quantized = {name for name, layer in applied.policy.layers.items() if layer.is_quantized}
    found = read_layers(tmp_path / "made.onnx")
    for name in applied.inventory.by_name:
        assert found[name] == ((8, "channel", True, 8) if name in quantized else (32, None, None, 32)), name
    assert losses_by_layer(conversion) == {("stage1.1.conv1", "prune")}
    assert applied.is_as_claimed(openvino_accuracy(applied, tmp_path / "made.onnx"))


@pytest.fixture(scope="module")
def mixed(digits, tmp_path_factory):
    """Weights alone of 8 and 4 bits and a static layer in one model, and the file that the tool makes."""
    workload = Around(digits, Attention, epochs=120)
    layers = {
        "query": LayerPolicy(weight=WeightFormat(8)),
        "key": LayerPolicy(weight=WeightFormat(8, symmetric=False)),
        "up": LayerPolicy(weight=WeightFormat(4, "group", 16)),
        "mix": LayerPolicy(weight=WeightFormat(4, "group", 16, symmetric=False)),
        "down": STATIC,
        "out": LayerPolicy(weight=WeightFormat(4, "group", 16)),
    }
    directory = tmp_path_factory.mktemp("mixed")
    applied = Applied(workload, workload.model(), Policy(layers=layers), directory)
    conversion = applied.convert("nncf")
    run_tool(conversion.text, applied.float_onnx, directory / "made.onnx", applied.calibration())
    return applied, conversion, directory / "made.onnx"


def test_weights_alone_and_static_layers_of_one_model_come_out_as_they_should(mixed):
    _, conversion, made = mixed

    assert conversion.losses == ()
    assert read_layers(made) == {
        "embed": (32, None, None, 32),
        "query": (8, "channel", True, 32),
        "key": (8, "channel", False, 32),
        "value": (32, None, None, 32),
        "mix": (4, "group 16", False, 32),
        "up": (4, "group 16", True, 32),
        "down": (8, "channel", True, 8),
        "out": (4, "group 16", True, 32),
    }


def test_weights_alone_and_static_layers_of_one_model_reach_the_claimed_accuracy(mixed):
    applied, _, made = mixed

    assert applied.is_as_claimed(openvino_accuracy(applied, made))


def test_each_bias_behind_a_4_bit_product_is_added_once(mixed):
    """nncf 3.4 gives it to the product and leaves the Add; the product of a Gemm alone keeps its own."""
    graph = onnx.load(mixed[2]).graph

    products = {node.name: node for node in graph.node if node.op_type == "MatMulNBits"}

    added = [set(node.input) for node in graph.node if node.op_type == "Add"]
    biases = {name: [v for v in node.input if v.endswith(".bias")] for name, node in products.items()}
    twice = [name for name, node in products.items() if {node.output[0], *biases[name]} in added]
    assert len(products) == 3
    assert sorted(bias for names in biases.values() for bias in names) == ["out.bias"]
    assert twice == []


@pytest.mark.parametrize(
    ("layer", "part"),
    [
        (LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "dynamic")), "activation"),
        (
            LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "static", "entropy")),
            "activation",
        ),
        (LayerPolicy(weight=WeightFormat(4), activation=ActivationFormat(8, "static")), "weight"),
        (LayerPolicy(weight=WeightFormat(4)), "weight"),
        (LayerPolicy(weight=WeightFormat(16)), "weight"),
        (LayerPolicy(weight=WeightFormat(8, "tensor"), activation=ActivationFormat(8, "static")), "weight"),
    ],
)
def test_a_format_that_it_lacks_is_left_out_and_named_in_the_script_too(applied, layer, part):
    layers = {"stage1.0.conv1": STATIC, "stage1.0.conv2": STATIC, "stage2.0.conv1": layer}

    conversion = convert(recipe(Policy(layers=layers)), "nncf", applied.inventory)

    assert losses_by_layer(conversion) == {("stage2.0.conv1", part)}
    assert f"# Left out: stage2.0.conv1 {part}: " in conversion.text


@pytest.mark.parametrize(("size", "inputs"), [(8, 96), (48, 96), (64, 96)])
def test_groups_that_the_operator_cannot_take_are_left_out_and_named(applied, size, inputs):
    layers = {"head": LayerPolicy(weight=WeightFormat(4, "group", size))}

    conversion = convert(recipe(Policy(layers=layers)), "nncf", applied.inventory)

    assert losses_by_layer(conversion) == {("head", "weight")}
    assert f"divide a row's {inputs}" in conversion.text


def test_the_script_of_a_policy_that_says_nothing_runs(applied, tmp_path):
    script = tmp_path / "compress.py"
    script.write_text(convert(recipe(Policy()), "nncf", applied.inventory).text)

    done = subprocess.run(
        [sys.executable, "-W", "error::SyntaxWarning", "-m", "py_compile", script], check=False
    )

    assert done.returncode == 0
