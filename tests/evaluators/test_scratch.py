"""Against what sessions of a single operator took, once measured: bytes beside inputs and outputs."""

import numpy as np
import pytest
from onnx import helper, numpy_helper

from evaluators.scratch import Node, scratch_bytes


def node(op, shapes, *, weight=None, inputs=9, zero=0, **attributes):
    """An operator whose inputs are ``i0``, ``i1`` ..., the weight's zero points at their place."""
    names = [f"i{position}" for position in range(inputs)]
    proto = helper.make_node(op, names, ["y"], **attributes)
    stored = {}
    if weight is not None:
        shapes = {**shapes, "i3": weight}
        stored["i3"] = numpy_helper.from_array(np.zeros(weight, np.int8), "i3")
        stored["i5"] = numpy_helper.from_array(np.full(weight[0], zero, np.int8), "i5")
    return Node(proto, shapes, stored)


def conv(images, inputs, outputs, size, kernel, *, group=1, stride=1, is_last=True, zero=0):
    small = size // stride
    given, result = (size, size, inputs), (small, small, outputs)
    if not is_last:
        given, result = (inputs, size, size), (outputs, small, small)
    return node(
        "QLinearConv",
        {"i0": (images, *given), "y": (images, *result)},
        weight=(outputs, inputs // group, kernel, kernel),
        zero=zero,
        group=group,
        strides=[stride, stride],
        pads=[kernel // 2] * 4,
        channels_last=int(is_last),
    )


@pytest.mark.parametrize(
    ("operator", "measured"),
    [
        (conv(1024, 64, 64, 8, 3), 4597 * 1024),
        (conv(1024, 24, 40, 8, 3), 4608 * 1024),
        (conv(1024, 64, 64, 8, 5), 12805 * 1024),
        (conv(1024, 64, 64, 8, 3, group=64), 4645 * 1024),
        (conv(1024, 64, 64, 16, 3, stride=2), 4603 * 1024),
        (conv(1024, 64, 64, 8, 1), 0),
        (conv(1, 3, 64, 256, 3), 22646784 - 64 * 256**2),
        (conv(1, 4, 64, 256, 3, is_last=False), 13365248 - 64 * 256**2),
        (conv(4, 4, 64, 256, 3, is_last=False), 4 * 6487040 - 4 * 64 * 256**2),
        (conv(1, 16, 64, 256, 3, group=2), 25686016 - 64 * 256**2),
        (node("QLinearMatMul", {"i0": (512, 16, 512), "y": (512, 16, 512)}, inputs=8), 512 * (40728 - 8192)),
        (node("QGemm", {"i0": (8192, 512), "y": (8192, 512)}), 8192 * (2558 - 512)),
        (node("QGemm", {"i0": (8192, 512), "y": (8192, 512)}, inputs=7), 0),
        (
            node("DynamicQuantizeMatMul", {"i0": (8192, 512), "y": (8192, 512)}, inputs=5),
            8192 * (2558 - 2048),
        ),
        (node("Conv", {"i0": (8, 3, 9, 9), "i1": (4, 3, 3, 3), "y": (8, 4, 9, 9)}, inputs=2), 0),
    ],
)
def test_it_is_what_a_session_of_the_operator_alone_took(operator, measured):
    assert scratch_bytes(operator) == pytest.approx(measured, rel=0.02)


def test_zero_points_of_weights_take_the_way_over_sums():
    assert scratch_bytes(conv(1, 64, 64, 8, 3, zero=1)) == 4 * 64 * 64 + 64 * 9 * 64
