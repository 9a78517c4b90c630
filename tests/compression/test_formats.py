"""Every combination of formats: what the file computes, against numpy and torch; what is refused."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from compression import export_float
from compression.quantization import LAYERS_KEY, LayerPlan, check_formats, quantize
from compression.quantization.numerics import activation_parameters, quantize_rows, quantize_values
from spaces import ActivationFormat, CompressionError, InvalidPolicy, LayerPolicy, Policy, WeightFormat
from tests.models import Around, Attention, Flattening, Mlp, Tied
from tests.networks_q import Sequences, Tokens

NONE = ActivationFormat(32)
STATIC = ActivationFormat(8, "static")
DYNAMIC = ActivationFormat(8, "dynamic")
OPS = {"conv": "conv", "fc": "linear", "table": "embedding", "lstm": "lstm", "gru": "gru"}


@pytest.fixture(scope="module")
def mlp(digits, tmp_path_factory):
    """The workload, the model and its float file."""
    workload = Around(digits, Mlp)
    model = workload.model().requires_grad_(False)
    path = tmp_path_factory.mktemp("mlp") / "float.onnx"
    export_float(model, workload, path)
    return workload, model, path


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    workload = Tokens()
    model = workload.model()
    path = tmp_path_factory.mktemp("tokens") / "float.onnx"
    export_float(model, workload, path)
    return workload, model, path


def quantized(made, layers, path, *, reduce_range=False):
    workload, _, source = made
    quantize(source, path, workload, Policy(layers=layers), reduce_range=reduce_range)
    return path


def run(path, feed):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options).run(None, {"input": feed.numpy()})[0]


def batch(workload, split="validation"):
    return next(workload.batches(split, 64))[0][0]


def rounded(weight, form, reduce_range=False):
    rows = quantize_rows(weight.flatten(1).numpy(), form, reduce_range=reduce_range)
    return torch.from_numpy(rows.dequantize()).reshape(weight.shape)


def by_hand(model, images, weight, activation):
    """The network on rounded operands; `activation` takes a layer's index and its input."""
    x = images.flatten(1)
    for index, layer in enumerate((model.first, model.second, model.out)):
        x = torch.nn.functional.linear(activation(index, x), weight(layer.weight), layer.bias)
        x = x if layer is model.out else torch.relu(x)
    return x.numpy()


def in_range(ends, bits):
    def apply(index, x):
        scale, zero = activation_parameters(*ends(index, x), bits)
        codes = quantize_values(x.numpy(), scale, zero, (0, 2**bits - 1))
        return torch.from_numpy(((codes - zero) * scale).astype(np.float32))

    return apply


def of_batch(index, x):
    return min(float(x.min()), 0.0), max(float(x.max()), 0.0)


WEIGHTS = [
    WeightFormat(8),
    WeightFormat(8, "tensor"),
    WeightFormat(8, "group", 16),
    WeightFormat(8, symmetric=False),
    WeightFormat(5),
    WeightFormat(4),
    WeightFormat(4, "tensor"),
    WeightFormat(4, "group", 16),
    WeightFormat(4, "group", 32, symmetric=False),
    WeightFormat(4, symmetric=False),
    WeightFormat(3, "group", 7),
    WeightFormat(2, "group", 7, symmetric=False),
]


@pytest.mark.parametrize("form", WEIGHTS, ids=str)
def test_weights_alone_compute_in_float_on_what_rounding_left(mlp, tmp_path, form):
    workload, model, _ = mlp
    images = batch(workload)
    names = ("first", "second", "out")
    path = quantized(mlp, dict.fromkeys(names, LayerPolicy(weight=form)), tmp_path / "x.onnx")

    expected = by_hand(model, images, lambda weight: rounded(weight, form), lambda index, x: x)

    assert np.allclose(run(path, images), expected, atol=1e-5)


@pytest.mark.parametrize(
    "form", [WeightFormat(8), WeightFormat(4, "tensor"), WeightFormat(8, "group", 16)], ids=str
)
@pytest.mark.parametrize("bits", [8, 4, 2])
def test_dynamic_activations_take_the_range_of_each_call(mlp, tmp_path, form, bits):
    workload, model, _ = mlp
    images = batch(workload)
    layer = LayerPolicy(weight=form, activation=ActivationFormat(bits, "dynamic"))
    path = quantized(mlp, dict.fromkeys(("first", "second", "out"), layer), tmp_path / "x.onnx")

    expected = by_hand(model, images, lambda weight: rounded(weight, form), in_range(of_batch, bits))

    # A tie may round the other way, and what follows from it differs; such pictures are few.
    assert (np.abs(run(path, images) - expected).max(axis=1) < 1e-5).mean() > 0.95


@pytest.mark.parametrize(
    "form", [WeightFormat(4), WeightFormat(3, "tensor"), WeightFormat(8, symmetric=False)], ids=str
)
@pytest.mark.parametrize("bits", [6, 4, 2])
def test_static_activations_of_fewer_bits_are_clipped_and_rounded(mlp, tmp_path, form, bits):
    workload, model, _ = mlp
    images = batch(workload) * 0.987  # pixels are sixteenths, which lie between two codes
    calibration = torch.cat([inputs[0] for inputs, _ in workload.batches("calibration", 64, limit=128)])
    ends = {}
    by_hand(
        model,
        calibration,
        lambda weight: weight,
        lambda index, x: ends.setdefault(index, of_batch(index, x)) and x,
    )
    layer = LayerPolicy(weight=form, activation=ActivationFormat(bits, "static"))
    path = quantized(mlp, dict.fromkeys(("first", "second", "out"), layer), tmp_path / "x.onnx")

    expected = by_hand(
        model, images, lambda weight: rounded(weight, form), in_range(lambda index, x: ends[index], bits)
    )

    # A tie may round the other way, and what follows from it differs; such pictures are few.
    assert (np.abs(run(path, images) - expected).max(axis=1) < 1e-5).mean() > 0.95


def test_halves_round_weights_and_activations_to_float16(mlp, tmp_path):
    workload, model, _ = mlp
    images = batch(workload)
    layer = LayerPolicy(weight=WeightFormat(16), activation=ActivationFormat(16))
    path = quantized(mlp, dict.fromkeys(("first", "second", "out"), layer), tmp_path / "x.onnx")

    expected = by_hand(model, images, lambda w: w.half().float(), lambda index, x: x.half().float())

    assert np.allclose(run(path, images), expected, atol=1e-5)
    assert not np.array_equal(run(path, images), by_hand(model, images, lambda w: w, lambda index, x: x))


@pytest.mark.parametrize("kind", ["tensor", "channel"])
@pytest.mark.parametrize("symmetric", [True, False])
def test_tables_give_the_rounded_rows_and_take_a_quarter_of_the_room(tokens, tmp_path, kind, symmetric):
    workload, model, source = tokens
    form = WeightFormat(8, kind, symmetric=symmetric)
    copy = Sequences().eval().requires_grad_(False)
    copy.load_state_dict(model.state_dict())
    copy.words.weight.data = rounded(model.words.weight, form)
    copy.places.weight.data = rounded(model.places.weight, form)

    path = quantized(
        tokens, dict.fromkeys(("words", "places"), LayerPolicy(weight=form)), tmp_path / "x.onnx"
    )

    assert np.allclose(run(path, batch(workload)), copy(batch(workload)).numpy(), atol=1e-5)
    table = 4 * (model.words.weight.numel() + model.places.weight.numel())
    assert source.stat().st_size - path.stat().st_size > 0.65 * table


@pytest.mark.parametrize(
    "form", [WeightFormat(8), WeightFormat(4, "tensor"), WeightFormat(4, "group", 6)], ids=str
)
def test_recurrent_weights_alone_compute_in_float(tokens, tmp_path, form):
    workload, model, _ = tokens
    path = quantized(tokens, {"gru": LayerPolicy(weight=form)}, tmp_path / "x.onnx")
    copy = Sequences().eval().requires_grad_(False)
    copy.load_state_dict(model.state_dict())
    for name in ("weight_ih_l0", "weight_hh_l0"):
        weight = getattr(copy.gru, name)
        if form.granularity != "tensor":
            weight.data = rounded(weight, form)
    if form.granularity == "tensor":
        for name in ("weight_ih_l0", "weight_hh_l0"):
            getattr(copy.gru, name).data = rounded(getattr(copy.gru, name), form)

    assert np.allclose(run(path, batch(workload)), copy(batch(workload)).numpy(), atol=1e-5)


def test_an_lstm_runs_on_integers_near_its_float_outputs(tokens, tmp_path):
    workload, _, source = tokens
    tokens_in = batch(workload)
    before = run(source, tokens_in)

    for kind in ("channel", "tensor"):
        layer = LayerPolicy(weight=WeightFormat(8, kind), activation=DYNAMIC)
        path = quantized(tokens, {"lstm": layer}, tmp_path / f"{kind}.onnx")
        difference = np.abs(run(path, tokens_in) - before).max()
        assert 0 < difference < 0.05 * np.ptp(before)
        assert path.stat().st_size < 0.75 * source.stat().st_size
        assert sum(node.op_type == "DynamicQuantizeLSTM" for node in onnx.load(path).graph.node) == 2


@pytest.mark.parametrize("name", ["conv", "depthwise", "grouped"])
@pytest.mark.parametrize("activation", [NONE, DYNAMIC, ActivationFormat(4, "dynamic"), STATIC], ids=str)
def test_convolutions_of_each_kind_take_each_mode(tokens, tmp_path, name, activation):
    workload, _, source = tokens
    before = run(source, batch(workload))

    path = quantized(
        tokens, {name: LayerPolicy(weight=WeightFormat(8), activation=activation)}, tmp_path / "x.onnx"
    )

    difference = np.abs(run(path, batch(workload)) - before).max()
    assert 0 < difference < (0.2 if activation.bits == 4 else 0.03) * np.ptp(before)


def test_formats_mix_in_one_file_and_the_metadata_say_what_each_layer_is(tokens, tmp_path):
    layers = {
        "words": LayerPolicy(weight=WeightFormat(8)),
        "project": LayerPolicy(weight=WeightFormat(4, "group", 16)),
        "lstm": LayerPolicy(weight=WeightFormat(8), activation=DYNAMIC),
        "gru": LayerPolicy(weight=WeightFormat(8)),
        "conv": LayerPolicy(weight=WeightFormat(8), activation=STATIC),
        "depthwise": LayerPolicy(weight=WeightFormat(3), activation=ActivationFormat(4, "static", "mse")),
        "grouped": LayerPolicy(weight=WeightFormat(6), activation=STATIC),
    }
    path = quantized(tokens, layers, tmp_path / "x.onnx", reduce_range=True)
    workload = tokens[0]

    declared = json.loads({item.key: item.value for item in onnx.load(path).metadata_props}[LAYERS_KEY])
    assert set(declared) == set(layers)
    assert {name for name, facts in declared.items() if facts["simulated"]} == {"depthwise", "grouped"}
    assert declared["conv"] == {
        "weight": 8,
        "activation": 8,
        "mode": "static",
        "simulated": False,
        "range": [-64, 64],
    }
    assert declared["depthwise"]["range"] == [-3, 3]
    assert np.isfinite(run(path, batch(workload))).all()


def test_reduced_weights_fit_seven_bits_in_integer_kernels(mlp, tmp_path):
    layers = {
        "first": LayerPolicy(weight=WeightFormat(8), activation=STATIC),
        "second": LayerPolicy(weight=WeightFormat(8), activation=DYNAMIC),
    }
    path = quantized(mlp, layers, tmp_path / "x.onnx", reduce_range=True)

    stored = [
        onnx.numpy_helper.to_array(item)
        for item in onnx.load(path).graph.initializer
        if item.data_type == onnx.TensorProto.INT8 and len(item.dims) == 2
    ]
    assert [int(np.abs(item.astype(int)).max()) for item in stored] == [64, 64]


@pytest.mark.parametrize("activation", [NONE, DYNAMIC, STATIC], ids=str)
def test_files_do_not_grow_as_bits_fall_and_are_the_same_each_time(mlp, tmp_path, activation):
    sizes = []
    for bits in (2, 3, 4, 5, 6, 7, 8, 16):
        layers = dict.fromkeys(
            ("first", "second"), LayerPolicy(weight=WeightFormat(bits), activation=activation)
        )
        first, again = (quantized(mlp, layers, tmp_path / name).read_bytes() for name in ("a.onnx", "b.onnx"))
        assert first == again, bits
        sizes.append(sum(item.ByteSize() for item in onnx.load_from_string(first).graph.initializer))

    assert sizes[-2] < sizes[-1]  # 8 and 16 bits
    assert max(sizes[:-1]) <= sizes[-2] * 1.02  # fewer bits lie in the same bytes


def test_a_tied_weight_is_rounded_for_each_layer_in_its_own_format(digits, tmp_path):
    workload = Around(digits, Tied, epochs=1)
    model = workload.model().requires_grad_(False)
    export_float(model, workload, tmp_path / "float.onnx")
    forms = {"body": WeightFormat(8), "tied": WeightFormat(3)}

    path = quantized(
        (workload, model, tmp_path / "float.onnx"),
        {name: LayerPolicy(weight=form) for name, form in forms.items()},
        tmp_path / "x.onnx",
    )

    images = batch(workload)
    model.tied.weight = torch.nn.Parameter(rounded(model.body.weight, forms["tied"]), requires_grad=False)
    model.body.weight = torch.nn.Parameter(rounded(model.body.weight, forms["body"]), requires_grad=False)
    assert np.allclose(run(path, images), model(images).numpy(), atol=1e-5)


def test_layers_that_read_one_tensor_must_agree_how_its_range_is_found(digits, tmp_path):
    workload = Around(digits, Attention, epochs=1)
    model = workload.model()
    export_float(model, workload, tmp_path / "float.onnx")
    made = (workload, model, tmp_path / "float.onnx")
    layers = {
        name: LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "static", method))
        for name, method in (("query", "mse"), ("key", "minmax"))
    }

    with pytest.raises(CompressionError, match=r"'(query|key)' and '(query|key)' read one tensor"):
        quantized(made, layers, tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()
    layers["key"] = layers["query"]
    assert quantized(made, layers, tmp_path / "x.onnx").exists()


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy", "mse"])
def test_every_calibration_keeps_a_trained_networks_outputs_the_more_bits_the_nearer(
    digits, digits_model, tmp_path, method
):
    export_float(digits_model, digits, tmp_path / "float.onnx")
    made = (digits, digits_model, tmp_path / "float.onnx")
    names = [name for name, module in digits_model.named_modules() if isinstance(module, torch.nn.Conv2d)]
    images = torch.cat([inputs[0] for inputs, _ in digits.batches("validation", 64)])
    targets = torch.cat([labels for _, labels in digits.batches("validation", 64)])
    before = run(tmp_path / "float.onnx", images)
    errors = []
    for bits in (3, 5, 8):
        form = ActivationFormat(bits, "static", method)
        layers = dict.fromkeys(names, LayerPolicy(weight=WeightFormat(8), activation=form))
        outputs = run(quantized(made, layers, tmp_path / f"{bits}.onnx", reduce_range=True), images)
        errors.append(float(((outputs - before) ** 2).mean() / before.var()))
        assert digits.metric(outputs, targets.numpy()) > 0.95, bits

    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.001


@pytest.mark.parametrize(
    ("layer", "policy", "pointer"),
    [
        ("nowhere", LayerPolicy(weight=WeightFormat(8)), "/layers/nowhere"),
        ("table", LayerPolicy(weight=WeightFormat(8), activation=STATIC), "/layers/table/activation"),
        ("table", LayerPolicy(weight=WeightFormat(8, "group", 8)), "/layers/table/weight/granularity"),
        ("gru", LayerPolicy(weight=WeightFormat(8), activation=DYNAMIC), "/layers/gru/activation"),
        ("lstm", LayerPolicy(weight=WeightFormat(8), activation=STATIC), "/layers/lstm/activation"),
        (
            "lstm",
            LayerPolicy(weight=WeightFormat(8, symmetric=False), activation=DYNAMIC),
            "/layers/lstm/weight",
        ),
        ("lstm", LayerPolicy(activation=DYNAMIC), "/layers/lstm/weight"),
    ],
)
def test_formats_that_a_layer_cannot_take_are_refused_where_they_stand(layer, policy, pointer):
    with pytest.raises(InvalidPolicy) as caught:
        check_formats(Policy(layers={layer: policy}), OPS)

    assert [fault.pointer for fault in caught.value.faults] == [pointer]


def test_all_other_formats_are_taken():
    for op in ("conv", "linear"):
        for weight in (*WEIGHTS, WeightFormat(16), WeightFormat(32)):
            for activation in (NONE, STATIC, DYNAMIC, ActivationFormat(16), ActivationFormat(3, "static")):
                layer = LayerPolicy(weight=weight, activation=activation)
                check_formats(Policy(layers={"x": layer}), {"x": op})


def test_a_layer_that_the_graph_lacks_is_named(mlp, tmp_path):
    with pytest.raises(CompressionError, match="layers gone have no weight operator"):
        quantized(mlp, {"gone": LayerPolicy(weight=WeightFormat(8))}, tmp_path / "x.onnx")


@pytest.mark.parametrize(
    ("op", "weight", "activation", "arithmetic", "simulated"),
    [
        ("conv", WeightFormat(8), STATIC, "static", False),
        ("conv", WeightFormat(5), STATIC, "static", True),
        ("conv", WeightFormat(8, symmetric=False), STATIC, "operands", True),
        ("linear", WeightFormat(8), DYNAMIC, "dynamic", False),
        ("linear", WeightFormat(4), DYNAMIC, "dynamic", True),
        ("linear", WeightFormat(4), NONE, "blocks", False),
        ("linear", WeightFormat(4, "group", 24), NONE, "operands", True),
        ("linear", WeightFormat(4, "group", 48), NONE, "blocks", False),
        ("conv", WeightFormat(4), NONE, "operands", True),
        ("conv", WeightFormat(8), NONE, "operands", False),
        ("linear", WeightFormat(16), NONE, "operands", True),
        ("embedding", WeightFormat(16), NONE, "operands", False),
        ("lstm", WeightFormat(8), DYNAMIC, "dynamic", False),
        ("gru", WeightFormat(8), NONE, "operands", False),
        ("linear", WeightFormat(32), STATIC, "operands", True),
    ],
)
def test_only_what_really_runs_is_not_simulated(op, weight, activation, arithmetic, simulated):
    plan = LayerPlan("x", op, weight, activation)

    assert (plan.arithmetic, plan.simulated) == (arithmetic, simulated)


@pytest.mark.parametrize("bits", [4, 2])
def test_a_layer_of_one_input_channel_is_not_taken_over_by_integers_that_round_its_bias(
    digits, tmp_path, bits
):
    """The optimizer would fuse it, with a bias in steps of input times weight: up to a tenth of it here."""
    workload = Around(digits, Flattening)
    model = workload.model().requires_grad_(False)
    export_float(model, workload, tmp_path / "float.onnx")
    layer = LayerPolicy(weight=WeightFormat(bits), activation=ActivationFormat(bits, "static"))
    layers = {"a_1": layer, "Zwei": LayerPolicy(weight=WeightFormat(8), activation=STATIC)}
    path = quantized((workload, model, tmp_path / "float.onnx"), layers, tmp_path / "x.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    as_written = onnxruntime.InferenceSession(str(path), options)
    images = batch(workload)

    expected = as_written.run(None, {"input": images.numpy()})[0]

    assert np.allclose(run(path, images), expected, atol=1e-5)
