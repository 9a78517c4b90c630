"""Inner states of a graph that is trained: found where the model's blocks are, and taught."""

import dataclasses

import onnx
import pytest
import torch

from compression.equalization import equalize
from compression.qat import GraphModule, train_quantized
from compression.qat.graph_features import GraphFeatures
from spaces import ActivationFormat, CompressionError, Distill, Recovery, WeightFormat
from tests.compression.qat.artifacts import INT8, examples, exported
from tests.models import Around
from tests.networks_t import Separable

DYNAMIC = {"weight": WeightFormat(8), "activation": ActivationFormat(8, "dynamic")}
ALONE = {"weight": WeightFormat(4), "activation": ActivationFormat(32)}


@dataclasses.dataclass
class Pair:
    """A model with the graph that is made of it, and their states on unseen examples."""

    workload: object
    model: object
    files: tuple

    def features(self, kind, quantized=None):
        whole = onnx.load(self.files[0])
        self.graph = GraphModule(onnx.load(quantized or self.files[1]), whole)
        return GraphFeatures(kind, self.graph, GraphModule(whole), self.model, self.model, self.workload)

    def states(self, kind, quantized=None):
        """Of the graph and of the model."""
        features = self.features(kind, quantized)
        inputs = examples(self.workload, count=64)[0]
        with torch.no_grad():
            with features.watching(self.graph) as seen:
                self.graph(*inputs)
            with features.watching(self.model) as taught:
                self.model(*inputs)
        return features, seen, taught


@pytest.fixture(scope="module", params=["static", "dynamic", "alone"])
def form(request):
    return {"static": INT8, "dynamic": DYNAMIC, "alone": ALONE}[request.param]


@pytest.fixture(params=["images", "texts"])
def pair(request, digits, digits_model, spotting, spotting_model, form, tmp_path):
    workload, model = (digits, digits_model) if request.param == "images" else (spotting, spotting_model)
    return Pair(workload, model, exported(workload, model, tmp_path, **form))


def relative_error(found, expected):
    return float((found - expected).square().mean() / expected.square().mean()) ** 0.5


def test_a_blocks_output_in_a_quantized_graph_is_nearly_the_models(pair):
    _, seen, taught = pair.states("hidden")

    assert seen.keys() == taught.keys()
    assert len(seen) >= 2
    for path, state in taught.items():
        assert relative_error(seen[path], state) < 0.35, path
        others = [other for name, other in taught.items() if name != path and other.shape == state.shape]
        nearest = min(others, key=lambda other: relative_error(seen[path], other))
        assert relative_error(seen[path], state) < relative_error(seen[path], nearest), path


def test_attention_in_a_quantized_graph_is_nearly_the_models(spotting, spotting_model, form, tmp_path):
    pair = Pair(spotting, spotting_model, exported(spotting, spotting_model, tmp_path, **form))

    features, seen, taught = pair.states("attention")

    assert len(seen) == len(taught) == 2
    assert float(features.loss(seen, taught)) < 0.05 * sum(
        float(scores[scores > -1e4].var()) for scores in taught
    )


@pytest.mark.parametrize("kind", ["hidden", "attention"])
def test_training_through_rounding_brings_the_states_nearer_to_the_teachers(
    spotting, spotting_model, tmp_path, kind
):
    form = {"weight": WeightFormat(3), "activation": ActivationFormat(8, "static")}
    pair = Pair(spotting, spotting_model, exported(spotting, spotting_model, tmp_path, **form))

    def distance(features):
        distill = Distill() if features == "none" else Distill(features=features, feature_weight=10.0)
        recovery = Recovery(qat=True, distill=distill, optimizer="adamw", learning_rate=2e-3)
        out = tmp_path / f"{features}.onnx"
        train_quantized(
            *pair.files, out, spotting, recovery, spotting_model, student=spotting_model, epochs=1, seed=0
        )
        match, seen, taught = pair.states(kind, out)
        return float(match.loss(seen, taught))

    assert distance(kind) < 0.7 * distance("none")


def test_blocks_whose_outputs_the_graph_computes_otherwise_are_refused_by_name(digits, tmp_path):
    workload = Around(digits, Separable, epochs=1)
    model = workload.model()
    pair = Pair(workload, model, exported(workload, model, tmp_path, **INT8))
    equalize(pair.files[0])

    with pytest.raises(CompressionError, match=r"the output of 'blocks\.\d'.*equalization"):
        pair.features("hidden")
