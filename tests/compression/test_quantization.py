"""What the int8 artifact computes, against an independent simulation of the arithmetic."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from compression import Deployment, compress
from spaces import ActivationFormat, LayerPolicy, Policy, WeightFormat, WorkloadError
from tests.models import Around, Mlp, OddlyNamed, Tied

INT8 = LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "static"))
REDUCED = Deployment(channel_multiple=8, reduce_range=True)


def deployed(workload, model, layers, path):
    policy = Policy(layers=dict.fromkeys(layers, INT8))
    return compress(workload, model, policy, path, deployment=REDUCED).artifact.path


def run(path, images):
    return onnxruntime.InferenceSession(str(path)).run(None, {"input": images.numpy()})[0]


def images_of(workload, split):
    return torch.cat([inputs[0] for inputs, _ in workload.batches(split, 64)])


class Simulated:
    """Fake quantization as a text book has it: 8-bit activations by tensor, 7-bit weights by output channel."""

    def __init__(self, model, calibration):
        self.model = model
        values = self._layers(calibration, lambda value, _: value, lambda weight: weight)
        self.ranges = [(min(float(v.min()), 0.0), max(float(v.max()), 0.0)) for v in values]

    def step(self, index):
        low, high = self.ranges[index]
        return (high - low) / 255

    def __call__(self, images):
        return self._layers(images, self._activation, self._weight)[-1]

    def _layers(self, images, activation, weight):
        values = [activation(images.flatten(1), 0)]
        for index, layer in enumerate((self.model.first, self.model.second, self.model.out), 1):
            value = F.linear(values[-1], weight(layer.weight), layer.bias)
            value = value if layer is self.model.out else F.relu(value)
            values.append(activation(value, index))
        return values

    def _activation(self, value, index):
        step, low = self.step(index), self.ranges[index][0]
        zero = round(-low / step)
        return ((value / step).round() + zero).clamp(0, 255).sub(zero) * step

    def _weight(self, weight):
        step = weight.abs().amax(dim=1, keepdim=True) / 64
        return (weight / step).round().clamp(-64, 64) * step


def test_int8_outputs_are_those_of_a_simulation_within_one_step(digits, tmp_path):
    workload = Around(digits, Mlp)
    model = workload.model()
    simulated = Simulated(model.requires_grad_(False), images_of(workload, "calibration"))
    path = deployed(workload, model, ["first", "second", "out"], tmp_path / "x.onnx")
    images = images_of(workload, "validation")

    difference = np.abs(run(path, images) - simulated(images).detach().numpy())

    assert difference.max() <= simulated.step(3) * 1.001
    assert np.median(difference) < simulated.step(3) / 100
    assert np.abs(run(path, images) - model(images).detach().numpy()).max() > simulated.step(
        3
    )  # int8 is not float


def test_a_float_layer_computes_with_its_own_weight_where_an_int8_layer_shares_it(digits, tmp_path):
    workload = Around(digits, Tied)
    model = workload.model()

    path = deployed(workload, model, ["body"], tmp_path / "x.onnx")

    graph = onnx.load(path).graph
    weights = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    tied = next(node for node in graph.node if node.name == "@tied@0")
    assert (weights[tied.input[1]] == model.tied.weight.detach().numpy()).all()


def test_layers_of_odd_names_compute_what_the_model_computes(digits, tmp_path):
    workload = Around(digits, OddlyNamed, epochs=1)
    model = workload.model()
    path = deployed(workload, model, [], tmp_path / "x.onnx")
    images = images_of(workload, "validation")

    assert np.allclose(run(path, images), model(images).detach().numpy(), atol=1e-4)


def test_an_empty_calibration_split_is_the_workloads_fault(digits, digits_model, tmp_path):
    class Empty(type(digits)):
        def batches(self, split, batch_size, *, limit=None, seed=0):
            return iter(())

    with pytest.raises(WorkloadError, match="the calibration split is empty; static ranges need examples"):
        deployed(Empty(), digits_model, ["head"], tmp_path / "x.onnx")


def test_calibration_that_raises_is_the_workloads_fault_and_no_file_is_left(digits, digits_model, tmp_path):
    class Torn(type(digits)):
        def batches(self, split, batch_size, *, limit=None, seed=0):
            yield from super().batches(split, batch_size, limit=10)
            message = "the tape is torn"
            raise OSError(message)

    with pytest.raises(WorkloadError, match="'digits-cnn': batches raised OSError: the tape is torn"):
        deployed(Torn(), digits_model, ["head"], tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []
