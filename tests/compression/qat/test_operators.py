"""Each operator of the table against ONNX Runtime's, on a graph of one node."""

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from compression.qat.operators import OPERATORS
from spaces import CompressionError

DRAW = np.random.default_rng(0)


def real(*shape):
    return DRAW.standard_normal(shape).astype(np.float32)


def positive(*shape):
    return np.abs(real(*shape)) + 0.1


def whole(*values):
    return np.array(values, np.int64)


def flags(*shape):
    return DRAW.integers(0, 2, shape).astype(bool)


def one(value):
    return np.array(value, np.float32)


A, B, IMAGE = real(3, 4), real(3, 4), real(2, 4, 7, 6)
INTEGERS = DRAW.integers(0, 255, (3, 4)).astype(np.uint8)
NAN = np.array([[1.0, np.nan]], np.float32)
BLOCKS = DRAW.integers(0, 255, (5, 2, 8)).astype(np.uint8)
BLOCK_FACTS = {"K": 20, "N": 5, "bits": 4, "block_size": 16}

CASES = {
    **{name: [((A,), {})] for name in (
        "Abs", "Ceil", "Cos", "Erf", "Exp", "Floor", "HardSwish", "Identity", "Neg", "Relu", "Round", "Sigmoid",
        "Sign", "Sin", "Softplus", "Tanh",
    )},
    **{name: [((A, B), {}), ((A, real(4)), {})] for name in (
        "Add", "Sub", "Mul", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual",
    )},
    **{name: [((flags(3, 4), flags(3, 4)), {})] for name in ("And", "Or", "Xor")},
    **{name: [((A, B, real(4)), {})] for name in ("Max", "Min", "Sum")},
    **{name: [((positive(3, 4),), {})] for name in ("Log", "Reciprocal", "Sqrt")},
    **{name: [((IMAGE,), {}), ((IMAGE,), {"axes": [2, 3], "keepdims": 0})] for name in (
        "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin",
    )},
    **{name: [((IMAGE,), {})] for name in ("GlobalAveragePool", "GlobalMaxPool")},
    **{name: [((A,), {}), ((IMAGE,), {"axis": 1})] for name in ("Softmax", "LogSoftmax")},
    "AveragePool": [
        ((IMAGE,), {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 0]}),
        ((IMAGE,), {"kernel_shape": [2, 2], "pads": [0, 0, 1, 1], "count_include_pad": 1}),
    ],
    "BatchNormalization": [((IMAGE, real(4), real(4), real(4), positive(4)), {"epsilon": 1e-3})],
    "Cast": [((A,), {"to": TensorProto.INT64}), ((INTEGERS,), {"to": TensorProto.FLOAT})],
    "Clip": [((A, one(-0.5), one(0.5)), {}), ((A, None, one(0.2)), {}), ((A, one(0)), {})],
    "Concat": [((A, real(2, 4)), {"axis": 0})],
    "ConstantOfShape": [
        ((whole(2, 3),), {}), ((whole(2),), {"value": helper.make_tensor("v", TensorProto.INT64, [1], [7])}),
    ],
    "Conv": [
        ((IMAGE, real(6, 2, 3, 2), real(6)), {"group": 2, "strides": [2, 1], "pads": [1, 0, 1, 0]}),
        ((IMAGE, real(6, 4, 3, 3)), {"pads": [0, 1, 2, 3], "dilations": [2, 1]}),
        ((IMAGE, real(6, 4, 3, 3)), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
        ((IMAGE, real(6, 4, 2, 2)), {"auto_pad": "SAME_LOWER"}),
        ((real(2, 4, 9), real(3, 4, 3), real(3)), {"pads": [1, 1]}),
    ],
    "ConvInteger": [(
        (DRAW.integers(0, 255, (2, 4, 5, 5)).astype(np.uint8), DRAW.integers(0, 255, (3, 4, 3, 3)).astype(np.uint8),
         np.uint8(9), np.uint8(128)), {"pads": [1, 1, 1, 1]},
    )],
    "ConvTranspose": [((IMAGE, real(4, 3, 3, 3), real(6)), {"group": 2, "strides": [2, 2], "pads": [1, 1, 1, 1]})],
    "CumSum": [((A, np.array(1, np.int64)), {})],
    "DequantizeLinear": [
        ((INTEGERS, one(0.5), np.uint8(3)), {}),
        ((INTEGERS.astype(np.int8), positive(4), np.zeros(4, np.int8)), {"axis": 1}),
    ],
    "Div": [((A, positive(3, 4)), {}), ((whole(-7, 7, 8), whole(2, 2, 4)), {})],
    "Dropout": [((A,), {})],
    "DynamicQuantizeLinear": [((A,), {}), ((positive(3, 4),), {}), ((np.zeros((2, 2), np.float32),), {})],
    "Einsum": [((A, real(4, 5)), {"equation": "ij,jk->ki"})],
    "Elu": [((A,), {"alpha": 0.7})],
    "Expand": [((real(3, 1), whole(2, 1, 4)), {})],
    "Flatten": [((IMAGE,), {}), ((IMAGE,), {"axis": 3})],
    "Gather": [((A, whole(2, -1)), {}), ((A, np.array(1, np.int64)), {"axis": 1}), ((A, np.array([[0, 2]])), {"axis": 1})],
    "GatherElements": [((A, np.array([[0, -1], [2, 3]])), {"axis": 1})],
    "Gemm": [
        ((A, real(4, 5), real(5)), {}),
        ((A, real(5, 4), real(5)), {"transB": 1, "alpha": 0.5, "beta": 2.0}),
        ((A, real(3, 5)), {"transA": 1}),
    ],
    "HardSigmoid": [((A,), {"alpha": 0.3, "beta": 0.4})],
    "InstanceNormalization": [((IMAGE, real(4), real(4)), {})],
    "IsNaN": [((NAN,), {})],
    "LayerNormalization": [((IMAGE, real(6), real(6)), {"epsilon": 1e-3}), ((IMAGE, real(7, 6)), {"axis": 2})],
    "LeakyRelu": [((A,), {"alpha": 0.2})],
    "MatMul": [((real(2, 3, 4), real(2, 4, 5)), {}), ((A, real(4)), {})],
    "MatMulInteger": [
        ((INTEGERS, DRAW.integers(-128, 127, (4, 5)).astype(np.int8), np.uint8(7), np.int8(0)), {}),
        ((INTEGERS, DRAW.integers(-128, 127, (4, 2)).astype(np.int8), np.uint8(7), np.array([3, -2], np.int8)), {}),
    ],
    "MatMulNBits": [
        ((real(3, 20), BLOCKS, positive(10)), BLOCK_FACTS),
        ((real(2, 3, 20), BLOCKS, positive(10), DRAW.integers(0, 255, 5).astype(np.uint8)), BLOCK_FACTS),
    ],
    "MaxPool": [
        ((IMAGE,), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ((IMAGE,), {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
        ((-positive(1, 1, 4, 4),), {"kernel_shape": [2, 2], "pads": [1, 1, 0, 0]}),
    ],
    "Mod": [((whole(-7, 7, 8), whole(3, 3, 4)), {})],
    "Not": [((flags(3),), {})],
    "PRelu": [((A, positive(4)), {})],
    "Pad": [
        ((A, whole(1, 0, 0, 2), one(3)), {}), ((A, whole(0, 1, 0, 2)), {"mode": "reflect"}),
        ((IMAGE, whole(0, 0, 1, 0, 0, 0, 0, 2)), {"mode": "edge"}),
    ],
    "Pow": [((positive(3, 4), one(2.5)), {})],
    "QuickGelu": [((A,), {"alpha": 1.5})],
    "Range": [((np.array(2, np.int64), np.array(9, np.int64), np.array(3, np.int64)), {})],
    "ReduceSum": [((IMAGE, whole(1, -1)), {}), ((IMAGE,), {"keepdims": 0}), ((A,), {"noop_with_empty_axes": 1})],
    "Reshape": [((A, whole(2, -1)), {}), ((A, whole(0, 2, 2)), {})],
    "Shape": [((IMAGE,), {}), ((IMAGE,), {"start": 1, "end": -1})],
    "Slice": [
        ((IMAGE, whole(1, -3), whole(9, -1), whole(2, 3)), {}),
        ((A, whole(-1), whole(-100), whole(1), whole(-2)), {}),
        ((A, whole(2), whole(1), whole(0)), {}),
    ],
    "Split": [((A,), {"axis": 1}), ((A, whole(1, 3)), {"axis": 1})],
    "Squeeze": [((real(1, 3, 1), whole(0)), {}), ((real(1, 3, 1),), {})],
    "Tile": [((A, whole(2, 1)), {})],
    "Transpose": [((IMAGE,), {"perm": [0, 2, 3, 1]}), ((A,), {})],
    "Trilu": [((A,), {"upper": 0}), ((A, np.array(1, np.int64)), {})],
    "Unsqueeze": [((A, whole(0, -1)), {})],
    "Where": [((flags(3, 4), A, real(4)), {})],
}  # fmt: skip
LATER = {"Gelu": 20}
OUTPUTS = {"DynamicQuantizeLinear": 3, "Split": 2}
CASES["Gelu"] = [((A,), {}), ((A,), {"approximate": "tanh"})]


def by_runtime(op, inputs, attributes):
    names = [f"x{index}" if value is not None else "" for index, value in enumerate(inputs)]
    outputs = [f"y{index}" for index in range(OUTPUTS.get(op, 1))]
    domain = "com.microsoft" if op in {"MatMulNBits", "QuickGelu"} else ""
    node = helper.make_node(op, names, outputs, domain=domain, **attributes)
    stored = [
        numpy_helper.from_array(np.asarray(value), name)
        for name, value in zip(names, inputs, strict=True)
        if value is not None
    ]
    graph = helper.make_graph(
        [node], "g", [], [helper.make_empty_tensor_value_info(y) for y in outputs], stored
    )
    imports = [helper.make_opsetid("", LATER.get(op, 17)), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=9)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return node, session.run(None, {})


@pytest.mark.parametrize("op", sorted(CASES))
def test_an_operator_computes_what_the_runtime_computes(op):
    for inputs, attributes in CASES[op]:
        node, expected = by_runtime(op, inputs, attributes)
        given = [None if value is None else torch.from_numpy(np.array(value)) for value in inputs]
        facts = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        if "value" in facts:
            facts["value"] = numpy_helper.to_array(facts["value"])

        made = OPERATORS[op](given, facts | {"outputs": len(expected)})

        made = made if isinstance(made, tuple) else (made,)
        for computed, wanted in zip(made, expected, strict=True):
            assert tuple(computed.shape) == wanted.shape
            if np.issubdtype(wanted.dtype, np.floating) or op in {
                "DynamicQuantizeLinear",
                "ConvInteger",
                "MatMulInteger",
            }:
                assert np.allclose(computed.numpy(), wanted, rtol=1e-4, atol=1e-5, equal_nan=True)
            else:
                assert computed.numpy().dtype == wanted.dtype
                assert (computed.numpy() == wanted).all()


def test_every_operator_of_the_table_is_compared():
    assert set(OPERATORS) == set(CASES)


@pytest.mark.parametrize("op", ["Round", "DynamicQuantizeLinear"])
def test_gradients_pass_straight_through_rounding(op):
    values = torch.tensor([-0.6, 0.3, 2.0], requires_grad=True)
    made = OPERATORS[op]([values], {})
    rounded, scale = (made, 1.0) if op == "Round" else (made[0], made[1])

    (rounded * scale).sum().backward()

    assert torch.allclose(values.grad, torch.ones(3))


@pytest.mark.parametrize(
    ("op", "inputs", "attributes"),
    [
        ("Pad", (A, whole(0, 0, 0, 1)), {"mode": b"wrap"}),
        ("AveragePool", (IMAGE,), {"kernel_shape": [2, 2], "pads": [0, 0, 1, 1]}),
        ("ConvTranspose", (IMAGE, real(4, 3, 3, 3)), {"pads": [0, 0, 1, 1]}),
    ],
)
def test_forms_without_a_counterpart_are_refused_by_name(op, inputs, attributes):
    with pytest.raises(CompressionError, match=f"{op} .*cannot be trained"):
        OPERATORS[op]([torch.from_numpy(value) for value in inputs], attributes)
