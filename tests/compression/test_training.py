import copy
import json

import pytest
import torch
from safetensors import safe_open
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from compression import main_output
from compression.accelerator import accelerated
from compression.training import LEARNING_RATES, Plan, fit
from compression.training_loop import TrainingLoop
from spaces import CompressionError, Recovery, WorkloadError
from tests.models import Mlp, Reusing


def supervised(workload):
    return lambda model, inputs, targets: workload.loss(main_output(model(*inputs)), targets)


def fresh(make=Mlp, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make().eval()


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def loss_on(workload, model, split="calibration"):
    with torch.no_grad():
        return sum(float(supervised(workload)(model, *batch)) for batch in workload.batches(split, 64))


class KilledError(Exception):
    pass


def killed_at(share):
    def report(done):
        if done >= share:
            raise KilledError

    return report


class Dropping(nn.Module):
    """BatchNorm and dropout, so that buffers and random numbers count."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.out = nn.Linear(64, 32), nn.BatchNorm1d(32), nn.Linear(32, 10)

    def forward(self, x):
        return self.out(F.dropout(F.relu(self.norm(self.first(x.flatten(1)))), 0.2, self.training))


@pytest.mark.parametrize("optimizer", LEARNING_RATES)
def test_training_makes_a_network_that_knows_nothing_good(digits, optimizer):
    model = fresh(Dropping)
    before = loss_on(digits, model)

    fit(model, digits, supervised(digits), Plan(12, optimizer, 0.1 if optimizer == "sgd" else 0.01))

    (inputs, targets) = next(digits.batches("validation", 300))
    assert (model(*inputs).argmax(1) == targets).float().mean() > 0.8
    assert loss_on(digits, model) < 0.6 * before
    assert not model.training


@pytest.mark.parametrize("optimizer", LEARNING_RATES)
def test_training_is_the_loop_that_one_would_write_by_hand(digits, optimizer):
    model, byhand = fresh(), fresh().train()
    groups = [
        {"params": [p for p in byhand.parameters() if (p.ndim > 1) == is_matrix], "weight_decay": decay}
        for is_matrix, decay in ((True, 1e-4 if optimizer == "sgd" else 0.01), (False, 0.0))
    ]
    if optimizer == "sgd":
        steps, norm = torch.optim.SGD(groups, 0.02, momentum=0.9, nesterov=True), 5.0
    else:
        steps, norm = torch.optim.AdamW(groups, 0.02), 1.0
    schedule = torch.optim.lr_scheduler.OneCycleLR(steps, 0.02, total_steps=29)
    for epoch in range(2):
        for inputs, targets in digits.batches("train", 64, seed=5 + epoch):
            steps.zero_grad()
            digits.loss(byhand(*inputs), targets).backward()
            nn.utils.clip_grad_norm_(byhand.parameters(), norm)
            steps.step()
            schedule.step()

    fit(model, digits, supervised(digits), Plan(2, optimizer, 0.02, seed=5))

    assert same(weights(model), weights(byhand))


def test_pieces_of_a_training_walk_its_learning_rate_once(digits):
    def rates(plan):
        loop = TrainingLoop(fresh(), digits, supervised(digits), plan, {}, torch.device("cpu"))
        found = []
        loop.run(lambda share: found.append(loop.schedule.get_last_lr()[0]))
        return found

    whole = Plan(3, "sgd", 0.05)
    pieces = whole.pieces((1 / 6, 1 / 3, 1 / 2))

    assert [piece.epochs for piece in pieces] == pytest.approx([0.5, 1, 1.5])
    assert len({piece.seed for piece in pieces}) == 3
    assert [rate for piece in pieces for rate in rates(piece)] == pytest.approx(rates(whole))


def test_zero_epochs_change_nothing_and_ask_for_nothing(digits_model):
    model = copy.deepcopy(digits_model)

    fit(model, None, None, Plan(0))

    assert same(weights(model), weights(digits_model))
    assert not model.training


@pytest.mark.parametrize("optimizer", LEARNING_RATES)
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(digits, optimizer):
    made = []
    for seed in (0, 0, 1):
        model = fresh(Dropping)
        fit(model, digits, supervised(digits), Plan(0.5, optimizer, seed=seed))
        made.append(weights(model))

    assert same(made[0], made[1])
    assert not torch.equal(made[0]["first.weight"], made[2]["first.weight"])


def test_random_numbers_outside_go_on_as_if_nothing_was_trained(digits):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)

    fit(fresh(Dropping), digits, supervised(digits), Plan(0.2))

    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("optimizer", LEARNING_RATES)
def test_masked_weights_stay_zero_and_the_others_learn(digits, optimizer):
    model = fresh()
    mask = torch.rand(32, 64, generator=torch.Generator().manual_seed(0)) > 0.5
    before = weights(model)

    fit(model, digits, supervised(digits), Plan(1, optimizer), masks={"first.weight": mask})

    weight = model.first.weight
    assert bool((weight[~mask] == 0).all())
    assert bool((weight[mask] != 0).all())
    assert not torch.equal(weight[mask], before["first.weight"][mask])
    assert not torch.equal(model.second.weight, before["second.weight"])


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"nowhere": torch.ones(2, dtype=torch.bool)}, "'nowhere'"),
        ({"first.weight": torch.ones(2, dtype=torch.bool)}, r"\(2,\).*\(32, 64\)"),
        ({"first.weight": torch.ones(32, 64)}, "must be boolean"),
    ],
)
def test_a_mask_that_fits_nothing_is_refused(digits, masks, message):
    with pytest.raises(CompressionError, match=message):
        fit(fresh(), digits, supervised(digits), Plan(1), masks=masks)


def test_frozen_parameters_do_not_change(digits):
    model = fresh()
    model.first.requires_grad_(False)
    before = weights(model)

    fit(model, digits, supervised(digits), Plan(0.2))

    assert torch.equal(model.first.weight, before["first.weight"])
    assert not torch.equal(model.second.weight, before["second.weight"])
    model.requires_grad_(False)
    with pytest.raises(CompressionError, match="no parameter"):
        fit(model, digits, supervised(digits), Plan(1))


def test_a_huge_gradient_moves_weights_no_further_than_its_clipped_norm(digits):
    model = fresh()
    before = torch.cat([p.detach().flatten().clone() for p in model.parameters()])
    huge = supervised(digits)

    fit(model, digits, lambda *batch: 1e6 * huge(*batch), Plan(1 / 14, "sgd", 0.01))

    moved = torch.cat([p.detach().flatten() for p in model.parameters()]) - before
    # One step of Nesterov momentum is (1 + momentum) times rate and gradient; the rate is at most the peak.
    assert 0 < moved.norm() <= 0.01 * 5.0 * (1 + 0.95)


def test_weight_decay_spares_biases(digits):
    model = fresh()
    biases = model.first.bias.detach().clone()

    def nothing(model, inputs, targets):
        return 0.0 * main_output(model(*inputs)).sum()

    before = model.first.weight.norm()
    fit(model, digits, nothing, Plan(2, "adamw", 0.1))

    assert torch.equal(model.first.bias, biases)
    assert model.first.weight.norm() < 0.99 * before


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_names_the_step(digits, broken):
    calls = []

    def objective(model, inputs, targets):
        calls.append(None)
        return model(*inputs).sum() * (broken if len(calls) == 4 else 1e-3)

    with pytest.raises(WorkloadError, match=r"'digits-cnn': the training loss became .* at step 3 of 14"):
        fit(fresh(), digits, objective, Plan(1))


def test_a_gradient_that_is_not_finite_names_the_step(digits):
    def objective(model, inputs, targets):
        return torch.sqrt(0.0 * model(*inputs).sum())

    model = fresh()
    before = weights(model)
    with pytest.raises(WorkloadError, match="gradient became nan at step 0"):
        fit(model, digits, objective, Plan(1))
    assert same(weights(model), before)
    assert not model.training


def test_progress_rises_to_one(digits):
    shares = []

    fit(fresh(), digits, supervised(digits), Plan(1.5), report=shares.append)

    assert len(shares) == 21
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


class Overfitting:
    """A workload whose calibration split disagrees with what training learns."""

    def __init__(self, inner):
        self.name, self.loss, self._inner = "overfitting", inner.loss, inner
        self.looks = 0

    def batches(self, split, batch_size, *, limit=None, seed=0):
        if split == "calibration":
            self.looks += 1
        for inputs, targets in self._inner.batches(split, batch_size, limit=limit, seed=seed):
            yield inputs, (targets + 1) % 10 if split == "calibration" else targets


def test_patience_stops_training_that_does_not_help_and_gives_the_best_weights_back(digits):
    workload, model, shares = Overfitting(digits), fresh(Dropping), []
    fit(model, digits, supervised(digits), Plan(2, "sgd", 0.1))
    before = weights(model)

    fit(model, workload, supervised(workload), Plan(10, "sgd", 0.1, patience=0.5), report=shares.append)

    assert same(weights(model), before)
    assert len(shares) == 7  # half an epoch of 14 batches
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert workload.looks >= 3


def test_patience_returns_the_weights_of_least_calibration_loss_of_all_that_were_looked_at(digits):
    model, losses = fresh(), []

    def objective(model, inputs, targets):
        loss = supervised(digits)(model, inputs, targets)
        if not torch.is_grad_enabled():
            assert not model.training
            losses.append(float(loss) * len(targets))
        return loss

    fit(model, digits, objective, Plan(3, "sgd", 2.0, patience=100))

    looks = [sum(losses[index : index + 2]) / 90 for index in range(0, len(losses), 2)]
    with torch.no_grad():
        found = sum(
            float(supervised(digits)(model, *batch)) * len(batch[1])
            for batch in digits.batches("calibration", 64)
        )
    assert len(looks) >= 12
    assert found / 90 == pytest.approx(min(looks))
    assert min(looks) < looks[-1]


def test_without_a_calibration_split_patience_is_refused(digits):
    class Empty(type(digits)):
        def batches(self, split, *args, **kwargs):
            return iter(()) if split == "calibration" else super().batches(split, *args, **kwargs)

    with pytest.raises(WorkloadError, match="calibration split is empty"):
        fit(fresh(), Empty(), supervised(digits), Plan(1, patience=1.0))


def test_an_empty_train_split_is_refused(digits):
    class Empty(type(digits)):
        def batches(self, split, *args, **kwargs):
            return iter(())

    with pytest.raises(WorkloadError, match="train split is empty"):
        fit(fresh(), Empty(), supervised(digits), Plan(1))


@pytest.mark.parametrize("optimizer", LEARNING_RATES)
@pytest.mark.parametrize("at", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("every_s", [0.0, 1e9], ids=["each-step", "never-in-time"])
def test_a_killed_training_continues_to_the_same_weights(digits, tmp_path, optimizer, at, every_s):
    plan = Plan(2, optimizer, patience=1.5, seed=3)
    mask = {"first.weight": torch.rand(32, 64, generator=torch.Generator().manual_seed(0)) > 0.5}
    whole, broken, path = fresh(Dropping), fresh(Dropping), tmp_path / "deep" / "checkpoint.safetensors"
    fit(whole, digits, supervised(digits), plan, masks=mask)

    def train(model, report):
        fit(
            model, digits, supervised(digits), plan,
            masks=mask, report=report, checkpoint=path, checkpoint_every_s=every_s,
        )  # fmt: skip

    with pytest.raises(KilledError):
        train(broken, killed_at(at))
    resumed, shares = fresh(Dropping), []
    train(resumed, shares.append)

    assert same(weights(resumed), weights(whole))
    assert shares[-1] == 1.0
    assert (shares[0] > at) == (every_s == 0)


def test_a_finished_training_gives_its_result_without_training_again(digits, tmp_path):
    path, shares = tmp_path / "checkpoint", []
    first, second = fresh(Dropping), fresh(Dropping)

    fit(first, digits, supervised(digits), Plan(0.5), checkpoint=path)
    fit(second, digits, supervised(digits), Plan(0.5), checkpoint=path, report=shares.append)

    assert same(weights(first), weights(second))
    assert shares == [1.0]
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint"]


def test_a_checkpoint_of_other_arguments_counts_for_nothing(digits, tmp_path):
    path = tmp_path / "checkpoint"
    fit(fresh(), digits, supervised(digits), Plan(0.5), checkpoint=path)
    for model, plan in ((fresh(), Plan(0.5, seed=1)), (fresh(seed=1), Plan(0.5)), (fresh(), Plan(0.6))):
        expected = copy.deepcopy(model)
        fit(expected, digits, supervised(digits), plan)

        fit(model, digits, supervised(digits), plan, checkpoint=path)

        assert same(weights(model), weights(expected))


def test_a_checkpoint_is_tensors_and_json(digits, tmp_path):
    path = tmp_path / "checkpoint"
    fit(fresh(), digits, supervised(digits), Plan(0.5, "adamw"), checkpoint=path)

    with safe_open(path, "pt") as file:
        document = json.loads(file.metadata()["state"])
        names = set(file.keys())
    assert document["counters"] == [7, 0, 7]
    assert {"model.first.weight", "optimizer.0.exp_avg", "rng.0"} <= names


def test_a_damaged_checkpoint_is_refused_by_name(digits, tmp_path):
    path = tmp_path / "checkpoint"
    path.write_bytes(b"not a checkpoint at all")

    with pytest.raises(CompressionError, match=r"checkpoint .* delete it"):
        fit(fresh(), digits, supervised(digits), Plan(0.5), checkpoint=path)


def test_an_objective_s_own_parameters_are_trained_and_survive_a_kill(digits, tmp_path):
    class Scaled:
        def __init__(self):
            self.scale = nn.Parameter(torch.tensor(3.0))

        def parameters(self):
            yield self.scale

        def __call__(self, model, inputs, targets):
            return digits.loss(self.scale * model(*inputs), targets)

    path, plan = tmp_path / "checkpoint", Plan(1)
    whole, broken, resumed = Scaled(), Scaled(), Scaled()
    fit(fresh(), digits, whole, plan)
    with pytest.raises(KilledError):
        fit(fresh(), digits, broken, plan, checkpoint=path, checkpoint_every_s=0, report=killed_at(0.5))
    fit(fresh(), digits, resumed, plan, checkpoint=path)

    assert whole.scale != 3.0
    assert torch.equal(resumed.scale, whole.scale)


def test_models_of_several_inputs_and_of_several_outputs_train(digits, spotting, spotting_model):
    two_outputs, two_inputs = fresh(Reusing), copy.deepcopy(spotting_model)
    before = loss_on(digits, two_outputs), loss_on(spotting, two_inputs, "train")

    fit(two_outputs, digits, supervised(digits), Plan(1))
    fit(two_inputs, spotting, supervised(spotting), Plan(1, "adamw"))

    assert loss_on(digits, two_outputs) < before[0]
    assert loss_on(spotting, two_inputs, "train") < before[1]


def test_a_last_batch_of_one_is_no_trouble_for_batch_norm(digits):
    class Odd(type(digits)):
        def batches(self, split, batch_size, *, limit=None, seed=0):
            return super().batches(split, batch_size, limit=129, seed=seed)

    model, shares = fresh(Dropping), []
    fit(model, Odd(), supervised(digits), Plan(2), report=shares.append)

    assert len(shares) == 4


def test_a_plan_is_a_recovery_s(digits):
    recovery = Recovery(epochs=3.0, optimizer="adamw", learning_rate=0.1, patience=0.5)

    assert Plan.of(recovery, seed=4) == Plan(3.0, "adamw", 0.1, 0.5, 4)
    assert Plan.of(recovery, seed=4, epochs=1.0).epochs == 1.0
    assert Plan(1, "adamw").peak == LEARNING_RATES["adamw"]
    with pytest.raises(CompressionError, match=r"'lion'.*sgd, adamw"):
        Plan(1, "lion")


def test_model_and_objective_move_to_the_accelerator_and_back(monkeypatch):
    class Watched(nn.Linear):
        def to(self, device):
            places.append(str(device))
            return self

    places, accelerator = [], torch.device("cuda", 0)
    monkeypatch.setattr("compression.accelerator.accelerator", lambda: accelerator)

    with accelerated(Watched(1, 1), Watched(1, 1), object()) as device:
        assert device == accelerator
        assert places == ["cuda:0", "cuda:0"]
        places.clear()

    assert places == ["cpu", "cpu"]
