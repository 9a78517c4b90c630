"""The module computes what ONNX Runtime computes from the same file."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from compression import export_float
from compression.qat import GraphModule
from compression.qat.writing import write_back
from spaces import ActivationFormat, CompressionError, WeightFormat
from tests.compression.qat.artifacts import examples, exported, run
from tests.models import MODELS, Around, Attention, Depthwise, Flattening, Reusing
from tests.networks_t import Sentences, TinyVit


def outputs_of(module, inputs):
    with torch.no_grad():
        made = module(*inputs)
    return [value.numpy() for value in (made if isinstance(made, tuple) else (made,))]


def greatest_difference(left, right):
    return max(float(np.abs(a - b).max()) for a, b in zip(left, right, strict=True))


def check_float(workload, model, directory, inputs):
    path = directory / "x.onnx"
    export_float(model, workload, path)
    assert greatest_difference(outputs_of(GraphModule(onnx.load(path)), inputs), run(path, inputs)) < 1e-4


@pytest.mark.parametrize("make", [*MODELS, TinyVit], ids=lambda make: make.__name__)
def test_float_graphs_compute_what_the_runtime_computes(digits, tmp_path, make):
    workload = Around(digits, make, epochs=0)
    check_float(workload, workload.model(), tmp_path, examples(digits)[0])


def test_the_float_graph_of_the_built_in_model_does_too(digits, digits_model, tmp_path):
    check_float(digits, digits_model, tmp_path, examples(digits)[0])


def test_the_float_graph_of_a_bert_does_with_other_batch_sizes_and_masks(tmp_path):
    workload = Sentences()
    check_float(workload, workload.model(), tmp_path, examples(workload)[0])


FORMS = {
    "8 bits": (WeightFormat(8), ActivationFormat(8, "static")),
    "8 bits by tensor": (WeightFormat(8, "tensor"), ActivationFormat(8, "static")),
    "4-bit weights": (WeightFormat(4), ActivationFormat(8, "static")),
    "asymmetric 3-bit weights": (WeightFormat(3, symmetric=False), ActivationFormat(8, "static")),
    "4 bits": (WeightFormat(4), ActivationFormat(4, "static")),
    "groups of 3-bit weights": (WeightFormat(3, "group", 20), ActivationFormat(32)),
    "blocks": (WeightFormat(4, "group", 16), ActivationFormat(32)),
    "8-bit weights alone": (WeightFormat(8), ActivationFormat(32)),
    "dynamic": (WeightFormat(8), ActivationFormat(8, "dynamic")),
    "dynamic at 4 bits": (WeightFormat(8), ActivationFormat(4, "dynamic")),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("make", [Flattening, Attention, Reusing], ids=lambda m: m.__name__)
def test_quantized_graphs_compute_what_the_file_says(digits, tmp_path, make, form):
    workload = Around(digits, make, epochs=1)
    weight, activation = FORMS[form]
    whole, quantized = exported(workload, workload.model(), tmp_path, weight=weight, activation=activation)
    inputs = examples(digits)[0]
    model = onnx.load(quantized)
    module = GraphModule(model, onnx.load(whole))
    computed = outputs_of(module, inputs)

    said = run(quantized, inputs, "ORT_DISABLE_ALL")
    step = module.step_of("output_scale")().item() if "output_scale" in module.grids.steps else 0.0
    assert greatest_difference(computed, said) <= max(1.001 * step, 1e-5)

    write_back(module, model)
    onnx.checker.check_model(model)
    onnx.save(model, tmp_path / "again.onnx")
    assert greatest_difference(run(tmp_path / "again.onnx", inputs), run(quantized, inputs)) == 0


@pytest.mark.parametrize("learns_steps", [False, True])
def test_an_int8_artifact_computes_what_the_module_does_within_one_step(
    digits, digits_model, tmp_path, learns_steps
):
    whole, quantized = exported(digits, digits_model, tmp_path, weight=WeightFormat(8))
    module = GraphModule(onnx.load(quantized), onnx.load(whole), learns_steps=learns_steps)
    inputs = examples(digits, count=300)[0]

    (difference,) = (
        np.abs(a - b) for a, b in zip(outputs_of(module, inputs), run(quantized, inputs), strict=True)
    )

    assert difference.max() <= module.step_of("output_scale")().item() * 1.001
    assert np.median(difference) == 0


def test_weights_start_from_the_float_model_in_the_layout_of_their_integers(digits, tmp_path):
    workload = Around(digits, Attention, epochs=0)
    model = workload.model()
    form = {"weight": WeightFormat(3, "group", 12), "activation": ActivationFormat(32)}
    whole, quantized = exported(workload, model, tmp_path, layers=["up"], **form)
    module = GraphModule(onnx.load(quantized), onnx.load(whole))

    (grid,) = module.grids.stored.values()
    start = module.tensor(grid.integers).detach()

    weight = model.up.weight.detach()  # 32 x 16: rows of two groups, the second filled up with zeros
    padded = torch.nn.functional.pad(weight, (0, 8))
    assert torch.equal(start.reshape(32, 24), padded)


def test_a_quantized_graph_without_its_float_model_is_refused(digits, tmp_path):
    workload, other = Around(digits, Flattening, epochs=0), Around(digits, Depthwise, epochs=0)
    _, quantized = exported(workload, workload.model(), tmp_path, weight=WeightFormat(8))
    export_float(other.model(), other, tmp_path / "other.onnx")

    with pytest.raises(
        CompressionError, match=r"layer '.*': '.*_quantized' has no counterpart in the float model"
    ):
        GraphModule(onnx.load(quantized), onnx.load(tmp_path / "other.onnx"))


def test_an_unknown_operator_is_refused_with_the_layer_before_it():
    nodes = [
        helper.make_node("MatMul", ["input", "w"], ["@fc@0:out"], name="@fc@0"),
        helper.make_node("Relu", ["@fc@0:out"], ["r"], name="/relu"),
        helper.make_node("Det", ["r"], ["output"], name="/det"),
    ]
    weight = helper.make_tensor("w", TensorProto.FLOAT, [2, 2], [1, 2, 3, 4])
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("input", [2, 2]), ("output", []))
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [weight])

    with pytest.raises(CompressionError, match=r"operator Det '/det' behind layer 'fc'.*recovery\.qat"):
        GraphModule(helper.make_model(graph))


def test_constants_of_arithmetic_do_not_train(digits, tmp_path):
    workload = Around(digits, Attention, epochs=0)
    export_float(workload.model(), workload, tmp_path / "x.onnx")
    module = GraphModule(onnx.load(tmp_path / "x.onnx"))

    parameters = dict(workload.model().named_parameters())
    trained = sum(parameter.numel() for parameter in module.parameters())
    assert trained == sum(parameter.numel() for parameter in parameters.values())


def test_copies_of_a_module_round_with_their_own_steps(digits, tmp_path):
    import copy

    workload = Around(digits, Flattening, epochs=0)
    whole, quantized = exported(workload, workload.model(), tmp_path, weight=WeightFormat(8))
    module = GraphModule(onnx.load(quantized), onnx.load(whole), learns_steps=True)
    inputs = examples(digits)[0]
    before = outputs_of(module, inputs)
    twin = copy.deepcopy(module)

    with torch.no_grad():
        for parameter in twin.steps.parameters():
            parameter.add_(0.02)

    assert greatest_difference(outputs_of(module, inputs), before) == 0
    assert greatest_difference(outputs_of(twin, inputs), before) > 0
