"""Where tools and runtimes mislead, Tauten says what really happens; each on a real trained model."""

from contextlib import closing

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from compression import Deployment, compress, export_float, layer_of, list_layers
from evaluators.backends import find_backend
from evaluators.evaluator import Evaluator
from evaluators.executed import check_executed, read_executed
from evaluators.latency import BASELINE
from evaluators.meter import Meter
from evaluators.packing import packed_size_bytes
from evaluators.targets import Target, cpu, find_target
from spaces import ActivationFormat, DeploymentError, LayerPolicy, Policy, Prune, WeightFormat

EXCLUDED = {"stage1.1.conv2": "int8", "stage1.1.conv1": "int8-weight"}
"""Layers to be left in float, and what each runs as if it is alone among integers."""

INT8 = LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "static"))
HAS_BF16 = bool(cpu()[1] & {"avx512_bf16", "amx_bf16"})


@pytest.fixture(scope="module")
def reference(digits, digits_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("traps") / "reference.onnx"
    export_float(digits_model, digits, path)
    return path


@pytest.fixture(scope="module")
def layers(digits, digits_model):
    return list_layers(digits_model, digits.example_inputs())


class Calibration(CalibrationDataReader):
    def __init__(self, digits):
        self._feeds = (
            {"input": images.numpy()} for (images,), _ in digits.batches("calibration", 8, limit=32)
        )

    def get_next(self):
        return next(self._feeds, None)


def carelessly_quantized(digits, reference, layer):
    """What ONNX Runtime's own tool makes when it is told to leave a layer alone."""
    path = reference.with_name(f"careless-{layer}.onnx")
    excluded = [node.name for node in onnx.load(reference).graph.node if layer_of(node.name) == layer]
    quantize_static(
        str(reference),
        str(path),
        Calibration(digits),
        quant_format=QuantFormat.QDQ,
        nodes_to_exclude=excluded,
        per_channel=True,
    )
    return path


@pytest.mark.parametrize(("layer", "kernel"), EXCLUDED.items())
def test_a_layer_that_was_left_in_float_and_runs_on_integers_is_reported_and_refused(
    digits, reference, layers, layer, kernel
):
    path = carelessly_quantized(digits, reference, layer)
    stored = {item.name: item.data_type for item in onnx.load(path).graph.initializer}
    weights = [kind for name, kind in stored.items() if layer in name and name.endswith("weight")]
    assert weights == [TensorProto.FLOAT]  # so says the file

    executed = read_executed(path)

    assert executed[layer] == kernel
    policy = Policy(layers={info.name: INT8 for info in layers if info.name != layer})
    with pytest.raises(DeploymentError, match=f"{layer}: asked float32, runs as {kernel}"):
        check_executed(executed, policy, layers, find_target("local-cpu").capabilities)
    # Each runtime is asked itself: OpenVINO leaves the layer alone.
    assert find_backend("openvino").executed_as(path)[layer] == "float32"


def measured(paths, digits):
    meter = Meter()
    try:
        return meter.measure(paths, {"input": digits.example_inputs()[0].numpy()})
    finally:
        meter.close()


def test_four_bit_weights_of_convolutions_are_small_and_slower_and_said_to_be(
    digits, digits_model, digits_evaluator, reference, layers
):
    policy = Policy(layers={layer.name: LayerPolicy(weight=WeightFormat(4)) for layer in layers})
    path = reference.with_name("int4.onnx")
    compress(digits, digits_model, policy, path, deployment=Deployment())

    timing = measured({BASELINE: reference, "int4": path}, digits)["int4"]
    outcome, _ = digits_evaluator.evaluate(policy)

    assert packed_size_bytes(path) < packed_size_bytes(reference) / 7
    assert timing.low > 1  # slower than floats, beyond doubt: weights are unpacked at each call
    assert outcome.status == "infeasible"  # the target has no such kernel, and does not say that it had
    assert "stage1.0.conv1: the target has no kernel for what the policy asks" in outcome.reason


def test_eight_bit_weights_alone_run_and_are_reported_as_slower(digits_evaluator, layers):
    policy = Policy(layers={layer.name: LayerPolicy(weight=WeightFormat(8)) for layer in layers})

    outcome, _ = digits_evaluator.evaluate(policy)

    assert set(outcome.executed_as.values()) == {"int8-weight"}
    assert outcome.metrics["size_bytes"].ratio > 3.5
    assert outcome.metrics["latency_ms"].speedup < 1


def test_nine_tenths_of_zeros_are_small_packed_and_no_faster(digits_evaluator, layers):
    pruned = LayerPolicy(prune=Prune(0.9, granularity="weight"))
    policy = Policy(layers={layer.name: pruned for layer in layers if layer.name != "head"})

    outcome, _ = digits_evaluator.evaluate(policy)
    metrics = outcome.metrics

    assert metrics["latency_ms"].speedup == pytest.approx(1.0, abs=0.1)
    assert metrics["size_bytes"].ratio == pytest.approx(1.0, abs=0.01)
    assert metrics["macs"].ratio == 1.0
    assert metrics["packed_size_bytes"].ratio > 7


@pytest.mark.skipif(not HAS_BF16, reason="this CPU computes in no bfloat16, so OpenVINO does not either")
def test_openvinos_silent_bfloat16_is_read_back(digits, reference):
    (images,), _ = next(digits.batches("validation", 64))
    feed = {"input": images.numpy()}
    with closing(find_backend("onnxruntime").open(reference)) as session:
        expected = session.run(feed)
    errors = {}
    for precision in ("f32", "default"):
        backend = find_backend("openvino", {"precision": precision})
        with closing(backend.open(reference)) as session:
            errors[precision] = np.abs(session.run(feed) - expected).max() / np.abs(expected).max()
        kernel = {"f32": "float32", "default": "bfloat16"}[precision]
        assert set(backend.executed_as(reference).values()) == {kernel}

    assert errors["f32"] < 1e-4
    assert errors["default"] > 1e-3


@pytest.mark.skipif(not HAS_BF16, reason="this CPU computes in no bfloat16, so OpenVINO does not either")
def test_a_baseline_in_bfloat16_is_no_fp32_baseline_and_is_refused(digits, tmp_path):
    document = find_target("local-cpu-openvino").to_dict()
    document["runtime"]["options"] = {"precision": "default"}

    with pytest.raises(
        DeploymentError, match="the fp32 artifact is not faithful: outputs differ from PyTorch"
    ):
        Evaluator(digits, Target.from_dict(document), tmp_path)
