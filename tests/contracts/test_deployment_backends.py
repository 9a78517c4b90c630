"""What every deployment backend promises, run against each."""

from contextlib import closing

import numpy as np
import onnx
import psutil
import pytest
import torch
from onnx import TensorProto, helper

from compression import Deployment, compress, export_float, list_layers, main_output
from evaluators.accuracy import score
from evaluators.backends import BACKENDS, find_backend
from evaluators.runtime import predict
from spaces import (
    ActivationFormat,
    DeploymentError,
    InvalidTarget,
    LayerPolicy,
    Method,
    Policy,
    UnknownName,
    WeightFormat,
    WorkloadError,
)
from tests.models import MODELS, Around

INT8 = LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "static"))


@pytest.fixture(params=list(BACKENDS))
def backend(request):
    return find_backend(request.param)


@pytest.fixture(scope="module")
def artifacts(digits, digits_model, tmp_path_factory):
    """The reference, and the same with every layer but one in int8."""
    directory = tmp_path_factory.mktemp("artifacts")
    export_float(digits_model, digits, directory / "float.onnx")
    layers = [layer.name for layer in list_layers(digits_model, digits.example_inputs())]
    policy = Policy(layers={name: INT8 for name in layers if name != "stage1.1.conv1"})
    compress(digits, digits_model, policy, directory / "int8.onnx", deployment=Deployment())
    return directory


def one_operator(path, op="Identity", shape=("batch", 3), **attributes):
    """A file whose only node maps ``x`` to ``y``."""
    graph = helper.make_graph(
        [helper.make_node(op, ["x"], ["y"], **attributes)],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, list(shape))],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_the_fp32_artifact_computes_what_eager_pytorch_does(backend, artifacts, digits, digits_model):
    (images,), _ = next(digits.batches("validation", 64))
    with torch.no_grad():
        eager = digits_model(images).numpy()

    with closing(backend.open(artifacts / "float.onnx")) as session:
        outputs = session.run({"input": images.numpy()})

    assert np.abs(outputs - eager).max() <= 1e-4 * np.abs(eager).max()


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_every_shape_of_network_is_computed_as_eager_pytorch_does(backend, digits, make, tmp_path):
    workload = Around(digits, make, epochs=0)
    model = workload.model()
    export_float(model, workload, tmp_path / "float.onnx")
    (images,), _ = next(digits.batches("validation", 5))
    with torch.no_grad():
        eager = main_output(model(images)).numpy()

    with closing(backend.open(tmp_path / "float.onnx")) as session:
        outputs = session.run({"input": images.numpy()})

    assert outputs.shape == eager.shape
    assert np.abs(outputs - eager).max() <= 1e-4 * max(np.abs(eager).max(), 1)


@pytest.mark.parametrize("name", ["float.onnx", "int8.onnx"])
@pytest.mark.parametrize("threads", [1, 2])
def test_answers_do_not_depend_on_the_batch_size_or_the_threads(backend, artifacts, digits, name, threads):
    with closing(backend.open(artifacts / name)) as session:
        whole, targets = predict(session, digits, "calibration", 90)
    with closing(backend.open(artifacts / name, threads)) as session:
        for batch_size in (1, 7) if threads == 1 else (45,):
            outputs, same = predict(session, digits, "calibration", batch_size)
            assert np.array_equal(same, targets)
            # An 8-bit step of the logits is 0.05; a value that lies halfway may fall on either side.
            assert np.abs(outputs - whole).max() <= (1e-4 * np.abs(whole).max() if "float" in name else 0.06)
            assert np.array_equal(outputs.argmax(1), whole.argmax(1))


def test_a_prepared_call_computes_on_its_own_inputs(backend, artifacts, digits):
    (images,), _ = next(digits.batches("validation", 2))
    feed = {"input": images.numpy().copy()}
    with closing(backend.open(artifacts / "float.onnx")) as session:
        before = session.run(feed)
        call = session.prepare(feed)
        other = session.run({"input": np.zeros_like(feed["input"])})
        call()
        after = session.run(feed)

    assert np.array_equal(before, after)
    assert not np.array_equal(before, other)


def test_it_says_what_each_layer_runs_as(backend, artifacts):
    quantized = "int8" if backend.method is Method.MEASURED else "simulated"

    executed = backend.executed_as(artifacts / "int8.onnx")

    assert len(executed) == 11
    assert executed.pop("stage1.1.conv1") == "float32"
    assert set(executed.values()) == {quantized}
    assert set(backend.executed_as(artifacts / "float.onnx").values()) == {"float32"}


@pytest.mark.parametrize("how", ["cut", "absent", "text", "unknown operator"])
def test_a_file_that_cannot_be_run_is_refused_in_words(backend, artifacts, tmp_path, how):
    path = tmp_path / "bad.onnx"
    if how == "cut":
        path.write_bytes((artifacts / "float.onnx").read_bytes()[:1000])
    elif how == "text":
        path.write_text("this is no model")
    elif how == "unknown operator":
        one_operator(path, "Nonsense", domain="com.example")

    with pytest.raises(DeploymentError, match=r"refuses the artifact|cannot simulate the artifact"):
        backend.open(path)


def test_a_dynamic_axis_beside_the_batch_is_refused_with_its_name(backend, tmp_path):
    path = one_operator(tmp_path / "dynamic.onnx", shape=("batch", 3, "length"))

    with pytest.raises(DeploymentError, match=r"input 'x' has a dynamic axis 2.*only the batch may be free"):
        backend.open(path)


def test_a_batch_of_another_shape_is_refused_with_the_remedy(backend, artifacts):
    with (
        closing(backend.open(artifacts / "float.onnx")) as session,
        pytest.raises(
            DeploymentError, match=r"takes batch x 1 x 8 x 8, but 2 x 1 x 8 x 9 was given.*pad or cut"
        ),
    ):
        session.run({"input": np.zeros((2, 1, 8, 9), np.float32)})


def test_inputs_of_other_names_are_refused_with_the_right_ones(backend, artifacts):
    with (
        closing(backend.open(artifacts / "float.onnx")) as session,
        pytest.raises(DeploymentError, match="inputs are input, but image was given"),
    ):
        session.run({"image": np.zeros((2, 1, 8, 8), np.float32)})


def test_outputs_that_are_not_finite_come_as_they_are_and_score_nothing(backend, digits, tmp_path):
    path = one_operator(tmp_path / "log.onnx", "Log", shape=("batch", 1, 8, 8))

    with closing(backend.open(path)) as session:
        outputs, targets = predict(session, digits, "calibration")

    assert np.isinf(outputs).any()
    with pytest.raises(WorkloadError, match="NaN or infinity"):
        score(digits, outputs, targets)


def test_a_closed_session_refuses_and_may_be_closed_again(backend, artifacts):
    session = backend.open(artifacts / "float.onnx")
    session.close()
    session.close()

    with pytest.raises(DeploymentError, match="closed"):
        session.run({"input": np.zeros((1, 1, 8, 8), np.float32)})


def test_sessions_leave_no_threads_behind(backend, artifacts):
    def use():
        with closing(backend.open(artifacts / "float.onnx", threads=2)) as session:
            session.run({"input": np.zeros((4, 1, 8, 8), np.float32)})

    use()  # a library may start a pool of its own once
    before = psutil.Process().num_threads()
    for _ in range(5):
        use()

    assert psutil.Process().num_threads() <= before


def test_an_unknown_backend_is_named_with_those_that_exist():
    with pytest.raises(
        UnknownName, match="unknown backend 'tvm'; choose one of: onnxruntime, openvino, torch"
    ):
        find_backend("tvm")


@pytest.mark.parametrize("name", list(BACKENDS))
def test_an_option_that_the_backend_does_not_have_is_refused_with_its_place(name):
    with pytest.raises(InvalidTarget) as caught:
        find_backend(name, {"turbo": True})

    assert caught.value.faults[0].pointer == "/runtime/options/turbo"


def test_a_backend_whose_library_is_missing_names_the_extra(monkeypatch):
    monkeypatch.setattr("evaluators.backends.registry.find_spec", lambda name: None)

    with pytest.raises(DeploymentError, match=r"install the extra: tauten\[openvino\]"):
        find_backend("openvino")


def test_the_largest_logit_is_that_of_the_number_that_is_shown(backend, artifacts, digits):
    with closing(backend.open(artifacts / "int8.onnx")) as session:
        assert score(digits, *predict(session, digits, "validation")) >= 0.98
