import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compression import Deployment, compress, export_float, list_layers
from evaluators.packing import packed_bits, packed_size_bytes
from spaces import ActivationFormat, LayerPolicy, Policy, Prune, WeightFormat

FLAGS = st.lists(st.booleans(), min_size=1, max_size=300).map(np.array)


def gap_code(flags, bits, width):
    """The code itself, entry by entry: distances of `width` bits with a value of `bits` bits."""
    entries, gap = [], 0
    for position, kept in enumerate(flags):
        if kept:
            entries.append((gap, position))
            gap = 0
        elif gap == 2**width - 1:
            entries.append((gap, None))
            gap = 0
        else:
            gap += 1
    while entries and entries[-1][1] is None:  # zeros behind the last number need no code
        entries.pop()
    return entries, len(entries) * (width + bits)


def decoded(entries, count):
    flags, at = np.zeros(count, dtype=bool), -1
    for gap, position in entries:
        at += gap + 1
        flags[at] = position is not None
    return flags


@given(FLAGS, st.sampled_from([2, 3, 4, 8, 32]))
def test_the_bits_are_those_of_the_smallest_code_written_out(flags, bits):
    codes = [len(flags) * bits, len(flags) + int(flags.sum()) * bits]
    for width in range(1, 17):
        entries, length = gap_code(flags, bits, width)
        assert np.array_equal(decoded(entries, len(flags)), flags)
        codes.append(length)

    assert packed_bits(flags, bits) == min(codes)


@given(FLAGS, st.sampled_from([2, 4, 8, 32]))
def test_one_more_zero_never_costs_more_than_a_number_in_its_bits(flags, bits):
    assert packed_bits(flags, bits) <= flags.size * bits
    assert packed_bits(np.zeros_like(flags), bits) == 0


def test_two_of_four_is_half_the_numbers_and_a_bit_each():
    flags = np.tile([True, True, False, False], 100)

    assert packed_bits(flags, 8) == 200 * 8 + 400


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_a_policy_of_fewer_bits_needs_them_and_no_more_on_a_trained_model(
    digits, digits_model, tmp_path, bits
):
    layers = [layer.name for layer in list_layers(digits_model, digits.example_inputs())]
    form = LayerPolicy(weight=WeightFormat(bits), activation=ActivationFormat(8, "static"))
    path = tmp_path / "artifact.onnx"
    compress(digits, digits_model, Policy(layers=dict.fromkeys(layers, form)), path, deployment=Deployment())

    matrices = sum(p.numel() for p in digits_model.parameters() if p.dim() > 1)
    packed = packed_size_bytes(path)

    # Scales of channels, biases and ranges come on top.
    assert packed <= matrices * bits / 8 + 16_000
    if bits > 2:  # at two bits many weights are zero, and cost less
        assert packed >= matrices * bits / 8 * 0.98
    assert packed < path.stat().st_size


def test_pruned_single_weights_are_small_packed_and_as_large_as_ever_on_disk(digits, digits_model, tmp_path):
    export_float(digits_model, digits, tmp_path / "whole.onnx")
    layers = [
        layer.name for layer in list_layers(digits_model, digits.example_inputs()) if layer.name != "head"
    ]
    policy = Policy(layers={name: LayerPolicy(prune=Prune(0.9, granularity="weight")) for name in layers})
    compress(digits, digits_model, policy, tmp_path / "sparse.onnx", deployment=Deployment())

    whole, sparse = (packed_size_bytes(tmp_path / name) for name in ("whole.onnx", "sparse.onnx"))

    assert whole / sparse > 7
    sizes = [(tmp_path / name).stat().st_size for name in ("whole.onnx", "sparse.onnx")]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.01)


def test_a_float_artifact_needs_what_its_parameters_take(digits, digits_model, tmp_path):
    export_float(digits_model, digits, tmp_path / "float.onnx")

    stored = sum(
        onnx.numpy_helper.to_array(item).nbytes
        for item in onnx.load(tmp_path / "float.onnx").graph.initializer
    )

    assert packed_size_bytes(tmp_path / "float.onnx") == pytest.approx(stored, abs=64)
