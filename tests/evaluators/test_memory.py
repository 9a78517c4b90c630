import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compression import Deployment, compress, export_float, list_layers
from evaluators.memory import Step, peak_memory_bytes, peak_of
from spaces import ActivationFormat, DeploymentError, LayerPolicy, Policy, WeightFormat

BATCH = 1024


@st.composite
def programs(draw):
    """Operators that each read one or two earlier values; the last value is the output."""
    count = draw(st.integers(1, 12))
    sizes = draw(st.lists(st.integers(1, 50), min_size=count + 1, max_size=count + 1))
    reads = [
        draw(st.lists(st.integers(0, index), min_size=1, max_size=2, unique=True)) for index in range(count)
    ]
    return sizes, reads


@given(programs())
def test_the_peak_is_that_of_every_value_counted_at_every_moment(program):
    sizes, reads = program
    steps = [
        Step([f"v{value}" for value in each], {f"v{index + 1}": sizes[index + 1]})
        for index, each in enumerate(reads)
    ]
    final = f"v{len(reads)}"

    def is_alive(value, moment):
        """Between the operator that makes it and the last that reads it; the ends live throughout."""
        if value == 0:
            return True
        later = [index for index, each in enumerate(reads) if value in each]
        end = len(reads) if value == len(reads) else max(later, default=value - 1)
        return value - 1 <= moment <= end

    moments = [
        sum(size for value, size in enumerate(sizes) if is_alive(value, moment))
        for moment in range(len(reads))
    ]

    assert peak_of(steps, {"v0": sizes[0]}, {final}) == max(moments)


def chain(*shares, is_view=False):
    names = ["x", "a", "b", "c", "y"]
    return [
        Step([before], {after: 10}, (before,) if after in shares else (), is_view)
        for before, after in pairwise(names)
    ]


def test_an_operator_in_place_costs_nothing_where_its_input_is_needed_no_longer():
    assert peak_of(chain(), {"x": 10}, {"y"}) == 30
    assert peak_of(chain("b", "c"), {"x": 10}, {"y"}) == 30
    assert peak_of(chain("b", "c")[:3], {"x": 10}, set()) == 20


def test_an_operator_in_place_copies_where_its_input_is_still_needed():
    steps = [Step(["x"], {"a": 10}), Step(["a"], {"b": 10}, ("a",)), Step(["a", "b"], {"y": 10})]

    assert peak_of(steps, {"x": 10}, {"y"}) == 40


def test_a_view_keeps_what_it_views_alive():
    steps = [
        Step(["x"], {"a": 10}),
        Step(["a"], {"b": 10}, ("a",), is_view=True),
        Step(["x"], {"c": 10}),
        Step(["b", "c"], {"y": 10}),
    ]

    assert peak_of(steps, {"x": 10}, {"y"}) == 40


@pytest.fixture(scope="module")
def artifacts(digits, digits_model, tmp_path_factory):
    directory = tmp_path_factory.mktemp("artifacts")
    export_float(digits_model, digits, directory / "float.onnx")
    layers = [layer.name for layer in list_layers(digits_model, digits.example_inputs())]
    formats = {
        "int8": LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "static")),
        "weights": LayerPolicy(weight=WeightFormat(8)),
    }
    policies = {name: Policy(layers=dict.fromkeys(layers, form)) for name, form in formats.items()}
    left_in_float = {"stage1.0.conv1", "stage1.1.conv1", "stage2.1.conv2", "head"}
    policies["mixed"] = Policy(layers={name: formats["int8"] for name in layers if name not in left_in_float})
    for name, policy in policies.items():
        compress(digits, digits_model, policy, directory / f"{name}.onnx", deployment=Deployment())
    return directory


def feed(batch):
    return {"input": np.ones((batch, 1, 8, 8), dtype=np.float32)}


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="the system counts no high-water mark"
)
@pytest.mark.parametrize("name", ["float", "weights", "int8", "mixed"])
def test_the_peak_is_what_a_session_takes(artifacts, name):
    path = artifacts / f"{name}.onnx"
    done = subprocess.run(
        [sys.executable, "-m", "tests.evaluators.peak", str(path), str(BATCH)],
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        check=True,
    )

    assert int(done.stdout) == pytest.approx(peak_memory_bytes(path, feed(BATCH)), rel=0.03)


def test_memory_that_is_used_again_is_held_in_between():
    # a's memory is planned for c, so that it is there while b is.
    steps = [Step(["x"], {"a": 10}), Step(["a"], {"b": 7}), Step(["b"], {"d": 5}), Step(["d"], {"c": 10})]
    steps.append(Step(["c"], {"y": 1}))

    assert peak_of(steps, {"x": 1}, {"y"}) == 18
    assert peak_of(steps, {"x": 1}, {"y"}, {"a": "ten", "b": "seven", "c": "ten", "d": "five"}) == 23
    assert peak_of(steps, {"x": 1}, {"y"}, {"a": "ten", "c": "unlike"}) == 18


def test_scratch_counts_while_its_operator_runs():
    steps = [Step(["x"], {"a": 10}, scratch=30), Step(["a"], {"b": 10}, scratch=5), Step(["b"], {"y": 1})]

    assert peak_of(steps, {"x": 1}, {"y"}) == 41


def test_it_grows_with_the_batch_and_shrinks_with_the_bits(artifacts):
    whole, int8 = (
        peak_memory_bytes(artifacts / f"{name}.onnx", feed(8), layouts=False) for name in ("float", "int8")
    )

    assert whole == pytest.approx(
        8 * peak_memory_bytes(artifacts / "float.onnx", feed(1), layouts=False), rel=0.01
    )
    assert 2 < whole / int8 < 4


def test_direct_convolutions_of_integers_need_a_pointer_for_each_pixel_they_read(artifacts):
    # Two residual branches, a result and the image in bytes; 3 x 3 pointers for each of 8 x 8 pixels.
    assert peak_memory_bytes(artifacts / "int8.onnx", feed(8)) == 8 * (3 * 64 * 64 + 256 + 8 * 9 * 64)


def test_another_machine_has_none_of_this_ones_layouts(artifacts):
    portable = peak_memory_bytes(artifacts / "float.onnx", feed(1), layouts=False)

    # Two residual branches and the sum of 64 x 8 x 8 floats, and the image.
    assert portable == 3 * 64 * 64 * 4 + 64 * 4


def test_an_artifact_that_the_runtime_refuses_is_named_so(tmp_path):
    (tmp_path / "bad.onnx").write_text("no model")

    with pytest.raises(DeploymentError, match="refuses the artifact"):
        peak_memory_bytes(tmp_path / "bad.onnx", feed(1))
