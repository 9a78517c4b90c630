import copy
import json
from types import SimpleNamespace

import pytest
import torch

from compression import Deployment, list_layers, shape
from evaluators.offer import Offer
from evaluators.rounding import round_layers
from evaluators.sensitivity import Sensitivity, measure_profile
from search.profile import SCHEMA, Profile
from spaces import LayerPolicy, Policy, Prune, Student

RATIOS = (0.0, 0.5, 0.75)
PLACES = ("stage1.0.conv1", "stage2.1.conv1")
LAYERS = ("stem.0", "stage2.1.conv2", "head")


@pytest.fixture(scope="module")
def evaluator(digits, digits_model):
    """What the measurement needs of an evaluator; nothing is exported or timed."""
    return SimpleNamespace(
        workload=digits, reference=SimpleNamespace(model=digits_model), deployment=Deployment(), seed=0
    )


def offer(student=None):
    places = PLACES if student is None else PLACES[:1]
    layers = LAYERS if student is None else LAYERS[:1]
    return Offer(
        student,
        dict.fromkeys(places, ("channel", RATIOS)),
        dict.fromkeys(layers, ((32, 32), (8, 8), (4, 32), (2, 32))),
    )


@pytest.fixture(scope="module")
def small(evaluator):
    return Sensitivity(evaluator, offer(), "small").measure()


def test_losses_grow_with_severity_on_a_trained_model(small):
    for losses in small["ratios"].values():
        assert losses[0] == 0
        assert losses[2] > 0.01
        assert losses[2] > losses[1]
    for losses in small["bits"].values():
        assert losses[0] == 0
        assert losses == sorted(losses)
    assert 0 < small["base_loss"] < 0.6


def test_what_is_left_is_what_pruning_leaves(small, digits, digits_model):
    policy = Policy(None, {PLACES[0]: LayerPolicy(prune=Prune(0.5))})
    pruned = shape(digits, digits_model, policy, deployment=Deployment(), seed=0).model
    before = {layer.name: layer for layer in list_layers(digits_model, digits.example_inputs())}
    after = {layer.name: layer for layer in list_layers(pruned, digits.example_inputs())}

    left = small["left"][PLACES[0]][1]

    expected = {
        name: now.macs / before[name].macs for name, now in after.items() if now.macs != before[name].macs
    }
    assert {name: shares[0] for name, shares in left.items()} == pytest.approx(expected)
    assert set(left) == {"stage1.0.conv1", "stage1.0.conv2"}
    assert small["left"][PLACES[0]][0] == {}


@pytest.mark.parametrize("kind", ["full", "fisher"])
def test_other_kinds_agree_that_two_bits_hurt_more_than_eight(evaluator, kind):
    found = Sensitivity(evaluator, offer(), kind).measure()

    for losses in found["bits"].values():
        assert losses[3] > losses[1]
        assert losses[3] > 0


def test_the_reference_is_not_changed(evaluator, digits_model):
    before = copy.deepcopy(digits_model.state_dict())

    Sensitivity(evaluator, offer(), "fisher").measure()

    for name, value in digits_model.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(parameter.grad is None for parameter in digits_model.parameters())


def test_rounding_leaves_other_layers_and_few_values_in_those_named(digits_model):
    rounded = round_layers(digits_model, {"head": 2, "stem.0": 32, "gone": 2})

    assert torch.equal(rounded.get_submodule("stem.0").weight, digits_model.get_submodule("stem.0").weight)
    assert all(len(row.unique()) <= 3 for row in rounded.head.weight)
    assert len(digits_model.head.weight[0].unique()) > 3


def test_students_are_measured_each_and_the_answer_is_a_profile(evaluator):
    shares = []
    found = measure_profile(evaluator, [offer(), offer(Student(depth=0.5))], "small", shares.append)

    document = json.loads(json.dumps(found))
    profile = Profile.from_dict({"schema": SCHEMA, "key": "k", "kind": "small", **document})
    assert [student.student for student in profile.students] == [None, Student(depth=0.5)]
    assert profile.students[1].base_loss > profile.students[0].base_loss
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert found["seconds"] > 0


def test_a_loss_that_overflows_counts_as_a_large_one(evaluator, digits):
    broken = SimpleNamespace(
        name="broken",
        batches=digits.batches,
        example_inputs=digits.example_inputs,
        loss=lambda outputs, targets: outputs.sum() * torch.inf if outputs.any() else torch.tensor(2.0),
    )
    sensitivity = Sensitivity(SimpleNamespace(**{**vars(evaluator), "workload": broken}), offer(), "small")

    assert sensitivity.measure()["base_loss"] == 20.0
