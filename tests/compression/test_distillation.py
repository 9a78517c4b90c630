import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from compression import Deployment, main_output, shape, soft_loss
from compression.batch_norm import reestimate
from compression.distillation import class_dimension, distilling, penalized
from compression.training import Plan, fit
from spaces import CompressionError, Distill, LayerPolicy, Policy, Prune, Recovery, Student, WorkloadError
from spaces.recovery import Sparsity
from tests.models import Mlp, Reusing
from tests.networks_d import TinyBert

ON_EIGHT = Deployment(channel_multiple=8, reduce_range=True)
HALF = {
    name: LayerPolicy(Prune(0.5))
    for name in (
        "stem.0",
        "stage1.0.conv1",
        "stage1.1.conv1",
        "stage2.0.conv1",
        "stage2.0.conv2",
        "stage2.1.conv1",
    )
}


def shaped(workload, model, **policy):
    return shape(workload, model, Policy(**policy), deployment=ON_EIGHT, seed=0).model


@pytest.fixture(scope="module")
def half(digits, digits_model):
    """The built-in model with half of its inner channels; nobody may change it."""
    return shaped(digits, digits_model, layers=HALF)


def accuracy(workload, model):
    with torch.no_grad():
        (inputs, targets), *_ = workload.batches("validation", 1024)
        return workload.metric(main_output(model(*inputs)).numpy(), targets.numpy())


def recover(model, workload, recovery, teacher, *, seed, **options):
    """Trains a float model in one go as `compress` does."""
    objective = distilling(workload, recovery.distill, teacher, model)
    fit(model, workload, objective, Plan.of(recovery, seed=seed), **options)
    if recovery.bn_reestimation:
        reestimate(model, workload, seed=seed)


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def first(workload, split="calibration", size=16):
    return next(workload.batches(split, size))


def test_recovery_brings_a_half_pruned_model_back(digits, digits_model, half):
    taught, shares = copy.deepcopy(half), []

    recover(taught, digits, Recovery(epochs=2.0), digits_model, seed=0, report=shares.append)

    assert accuracy(digits, taught) > 0.95
    assert accuracy(digits, half) < 0.5
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert not taught.training


def test_recovery_on_labels_alone_works_too(digits, digits_model, half):
    model = copy.deepcopy(half)

    recover(model, digits, Recovery(epochs=2.0, distill=None), digits_model, seed=0)

    assert accuracy(digits, model) > 0.9


def test_recovery_does_not_spoil_a_model_that_needs_none(digits, digits_model):
    model = shaped(digits, digits_model)

    recover(model, digits, Recovery(epochs=0.5), digits_model, seed=0)

    assert accuracy(digits, model) >= accuracy(digits, digits_model) - 0.01


def test_recovery_with_adamw_does_not_spoil_a_transformer_that_needs_none(spotting, spotting_model):
    model = copy.deepcopy(spotting_model)

    recover(model, spotting, Recovery(epochs=1.0, optimizer="adamw"), spotting_model, seed=0)

    assert accuracy(spotting, model) >= accuracy(spotting, spotting_model) - 0.01


def test_zero_epochs_change_nothing(digits, digits_model, half):
    model = copy.deepcopy(half)
    before = weights(model)

    recover(model, digits, Recovery(epochs=0.0), digits_model, seed=0)

    assert same(weights(model), before)


def test_batch_norm_alone_is_re_estimated_without_epochs(digits, digits_model, half):
    model = copy.deepcopy(half)
    before = weights(model)

    recover(model, digits, Recovery(epochs=0.0, bn_reestimation=True), digits_model, seed=0)

    changed = {name for name, tensor in weights(model).items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all(name.endswith(("running_mean", "running_var", "num_batches_tracked")) for name in changed)


@pytest.mark.parametrize("features", ["none", "hidden"])
def test_the_teacher_is_not_changed_by_teaching(digits, digits_model, half, features):
    before = weights(digits_model)
    model = copy.deepcopy(half)

    recover(model, digits, Recovery(epochs=0.1, distill=Distill(features=features)), digits_model, seed=0)

    assert same(weights(digits_model), before)
    assert not digits_model.training
    assert all(not each._forward_hooks for each in (*digits_model.modules(), *model.modules()))
    assert all(parameter.grad is None for parameter in digits_model.parameters())


def test_recovery_keeps_masked_weights_at_zero_and_continues_after_a_kill(
    digits, digits_model, half, tmp_path
):
    class KilledError(Exception):
        pass

    def report(share):
        if share > 0.5:
            raise KilledError

    mask = digits_model.head.weight.abs() > digits_model.head.weight.abs().median()
    recovery = Recovery(epochs=0.3, distill=Distill(features="hidden"))
    whole, broken, resumed = (copy.deepcopy(half) for _ in range(3))
    masks = {"head.weight": mask[:, : whole.head.in_features]}
    kept = {"masks": masks, "checkpoint": tmp_path / "checkpoint"}
    recover(whole, digits, recovery, digits_model, seed=0, masks=masks)
    with pytest.raises(KilledError):
        recover(broken, digits, recovery, digits_model, seed=0, report=report, **kept)
    recover(resumed, digits, recovery, digits_model, seed=0, **kept)

    assert bool((whole.head.weight[~masks["head.weight"]] == 0).all())
    assert same(weights(whole), weights(resumed))


def test_attention_of_a_model_without_attention_is_refused(digits, digits_model):
    recovery = Recovery(distill=Distill(features="attention"))

    with pytest.raises(
        CompressionError, match="'attention' cannot be matched: the student computes no attention"
    ):
        recover(shaped(digits, digits_model), digits, recovery, digits_model, seed=0)


def test_a_loss_that_is_not_finite_stops_the_recovery(digits, digits_model):
    class Broken(type(digits)):
        def loss(self, outputs, targets):
            return outputs.sum() * float("nan")

    with pytest.raises(WorkloadError, match="training loss became nan at step 0"):
        recover(shaped(digits, digits_model), Broken(), Recovery(distill=None), digits_model, seed=0)


def test_the_soft_loss_is_the_formula():
    student, teacher = torch.randn(7, 5), torch.randn(7, 5)
    temperature = 3.0
    p, q = F.softmax(teacher / temperature, 1), F.softmax(student / temperature, 1)
    expected = (p * (p.log() - q.log())).sum(1).mean() * temperature**2

    assert torch.allclose(soft_loss(student, teacher, temperature), expected, atol=1e-6)
    assert soft_loss(teacher, teacher, temperature).abs() < 1e-6


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_objective_is_the_weighted_sum_of_its_parts(digits, digits_model, half, alpha):
    inputs, targets = first(digits)
    outputs, taught = half(*inputs), digits_model(*inputs)
    soft, hard = soft_loss(outputs, taught, 2.0), digits.loss(outputs, targets)

    objective = distilling(digits, Distill(2.0, alpha), digits_model, half)

    expected = alpha * soft + (1 - alpha) * hard
    assert torch.allclose(objective(half, inputs, targets), expected)
    labels = distilling(digits, None, digits_model, half)
    assert torch.equal(labels(half, inputs, targets), hard)


def test_the_weight_of_features_counts(spotting, spotting_model):
    torch.manual_seed(0)
    student = TinyBert(2, 32, 2).eval()
    inputs, targets = first(spotting)

    def objective(*args):
        return distilling(spotting, Distill(4.0, 0.7, *args), spotting_model, student)(
            student, inputs, targets
        )

    plain, once, thrice = objective("none"), objective("hidden"), objective("hidden", 3.0)

    assert once > plain
    assert torch.allclose(thrice - plain, 3 * (once - plain), rtol=1e-4)


@pytest.mark.parametrize(
    ("outputs", "targets", "expected"),
    [
        ((8, 10), (8,), 1),
        ((8, 5, 10), (8, 5), 2),
        ((8, 10, 4, 6), (8, 4, 6), 1),
        ((8, 4, 4), (8, 4), 2),
        ((8, 10, 1, 1), (8,), 1),
        ((8, 1), (8,), None),
        ((8,), (8,), None),
    ],
)
def test_classes_are_found_where_targets_have_no_dimension(outputs, targets, expected):
    assert class_dimension(torch.zeros(outputs), torch.zeros(targets, dtype=torch.long)) == expected
    assert class_dimension(torch.zeros(outputs), torch.zeros(targets)) is None


def test_scores_of_pixels_are_softened_over_classes(digits):
    class Segmenting(type(digits)):
        def loss(self, outputs, targets):
            return F.cross_entropy(outputs, targets)

    student, teacher = nn.Conv2d(1, 3, 1), nn.Conv2d(1, 3, 1)
    inputs, targets = (torch.randn(2, 1, 4, 5),), torch.zeros(2, 4, 5, dtype=torch.long)

    found = distilling(Segmenting(), Distill(3.0, 1.0), teacher, student)(student, inputs, targets)

    flat = [net(*inputs).permute(0, 2, 3, 1).reshape(-1, 3) for net in (student, teacher)]
    assert torch.allclose(found, soft_loss(*flat, 3.0))


def test_values_are_taught_by_their_squared_difference(digits):
    student, teacher = nn.Linear(3, 1), nn.Linear(3, 1)
    inputs, targets = (torch.randn(5, 3),), torch.randn(5, 1)

    found = distilling(digits, Distill(4.0, 1.0), teacher, student)(student, inputs, targets)

    assert torch.allclose(found, (student(*inputs) - teacher(*inputs)).square().mean())


def test_outputs_of_other_shapes_cannot_teach(digits):
    student, teacher = nn.Linear(3, 4), nn.Linear(3, 5)

    objective = distilling(digits, Distill(), teacher, student)
    with pytest.raises(CompressionError, match=r"\(2, 4\).*\(2, 5\)"):
        objective(student, (torch.randn(2, 3),), torch.zeros(2, dtype=torch.long))


def test_a_model_of_several_outputs_is_taught_by_its_first(digits):
    torch.manual_seed(0)
    student, teacher = Reusing().eval(), Reusing().eval()
    inputs, targets = first(digits)

    found = distilling(digits, Distill(2.0, 1.0), teacher, student)(student, inputs, targets)

    assert torch.allclose(found, soft_loss(student(*inputs)[0], teacher(*inputs)[0], 2.0))


def test_projections_are_trained_and_leave_the_student_s_names_alone(spotting, spotting_model):
    torch.manual_seed(0)
    student = TinyBert(2, 16, 2).eval()
    names = list(student.state_dict())
    objective = distilling(spotting, Distill(features="hidden"), spotting_model, student)
    projections = list(objective.parameters())
    before = [each.detach().clone() for each in projections]

    fit(student, spotting, objective, Plan(0.5, "adamw"))

    assert [tuple(each.shape) for each in projections] == [(32, 16), (32, 16)]
    assert not any(torch.equal(one, other) for one, other in zip(before, projections, strict=True))
    assert list(student.state_dict()) == names


@pytest.mark.parametrize("features", ["hidden", "attention"])
@pytest.mark.parametrize("width", [16, 32])
def test_training_brings_a_student_s_inner_states_to_the_teacher_s(spotting, spotting_model, features, width):
    torch.manual_seed(0)
    student = TinyBert(2, width, 2).eval()
    objective = distilling(spotting, Distill(features=features), spotting_model, student)
    match, held_out = objective._match, first(spotting, "validation", 128)[0]

    def distance():
        with torch.no_grad():
            with match.watching(student) as seen:
                student(*held_out)
            with match.watching(spotting_model) as taught:
                spotting_model(*held_out)
            return float(match.loss(seen, taught))

    before = distance()
    fit(student, spotting, objective, Plan(3, "adamw", 4e-3))

    assert distance() < 0.7 * before


def test_a_shallower_student_learns_to_stand_in_for_the_blocks_it_lost(digits, digits_model):
    student = shaped(digits, digits_model, student=Student(depth=0.5))
    plain, matched = copy.deepcopy(student), copy.deepcopy(student)
    hidden = Recovery(epochs=1.5, distill=Distill(features="hidden", feature_weight=10.0))

    recover(plain, digits, Recovery(epochs=1.5), digits_model, seed=0)
    recover(matched, digits, hidden, digits_model, seed=0)

    assert accuracy(digits, matched) > 0.95
    inputs, _ = first(digits, "validation", 128)
    with torch.no_grad():
        distances = [
            float((model.stage2(model.stage1(model.stem(*inputs))) - features).square().mean())
            for features in [digits_model.stage2(digits_model.stage1(digits_model.stem(*inputs)))]
            for model in (plain, matched)
        ]
    assert distances[1] < 0.7 * distances[0]


def penalised_of(model, kind):
    return [module.weight for module in model.modules() if isinstance(module, kind)]


def norm_of(model, kind):
    return sum(float(weight.detach().abs().sum()) for weight in penalised_of(model, kind))


PENALTIES = [("weight", (nn.Conv2d, nn.Linear), 5e-3), ("bn_scale", nn.BatchNorm2d, 0.2)]


@pytest.fixture(scope="module")
def taught(digits, digits_model):
    """Trains the built-in model for a moment, with a penalty or without; the model."""

    def train(sparsity=None):
        model = copy.deepcopy(digits_model)
        goal = distilling(digits, Distill(), digits_model, model)
        fit(model, digits, goal if sparsity is None else penalized(goal, model, sparsity), Plan(0.75))
        return model

    return train


@pytest.fixture(scope="module")
def taught_without_penalty(taught):
    return taught()


@pytest.mark.parametrize(("penalty", "kind", "strength"), PENALTIES)
def test_the_penalty_is_the_l1_norm_of_its_weights(digits, digits_model, penalty, kind, strength):
    labels = distilling(digits, None, digits_model, digits_model)
    objective = penalized(labels, digits_model, Sparsity(penalty, strength))
    batch = first(digits)

    added = objective(digits_model, *batch) - labels(digits_model, *batch)

    assert float(added.detach()) == pytest.approx(strength * norm_of(digits_model, kind), rel=1e-4)


@pytest.mark.parametrize(("penalty", "kind", "strength"), PENALTIES)
def test_a_penalty_drives_its_weights_down(digits, taught, taught_without_penalty, penalty, kind, strength):
    driven = taught(Sparsity(penalty, strength))

    assert norm_of(driven, kind) < 0.9 * norm_of(taught_without_penalty, kind)
    assert accuracy(digits, driven) > 0.9
    assert accuracy(digits, taught_without_penalty) > 0.9


def test_a_penalty_on_scales_that_are_not_there_is_refused(digits):
    model = Mlp()

    with pytest.raises(CompressionError, match="'bn_scale' cannot be applied"):
        penalized(distilling(digits, None, model, model), model, Sparsity("bn_scale", 1e-4))


def test_a_penalised_objective_trains_the_projections_of_the_one_inside(spotting, spotting_model):
    student = TinyBert(2, 16, 2).eval()
    inner = distilling(spotting, Distill(features="hidden"), spotting_model, student)

    outer = penalized(inner, student, Sparsity("weight", 1e-4))

    assert [id(each) for each in outer.parameters()] == [id(each) for each in inner.parameters()]
