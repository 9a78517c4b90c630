import itertools
import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from evaluators.workloads.arrays import Examples, Splits
from evaluators.workloads.contract import check_contract


class Kept:
    """Keeps the contract; each test breaks one sentence of it."""

    name, task = "kept", "classification"

    def __init__(self):
        values = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))
        self.data = Splits({"train": Examples((values,), (values.sum(1) > 0).long())})

    def model(self):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2)).eval()

    def example_inputs(self):
        return self.data.example_inputs()

    def batches(self, split, batch_size, *, limit=None, seed=0):
        return self.data.batches(split, batch_size, limit=limit, seed=seed)

    def loss(self, outputs, targets):
        return F.cross_entropy(outputs, targets)

    def metric(self, outputs, targets):
        return float((outputs.argmax(1) == targets).mean())


def verdicts(workload):
    return {item.check: item for item in check_contract(workload, workload.model())}


def test_nothing_is_found_where_the_contract_is_kept():
    assert {item.verdict for item in verdicts(Kept()).values()} == {"holds"}


class Leaking(Kept):
    def batches(self, split, batch_size, **options):
        return super().batches("validation" if split == "test" else split, batch_size, **options)


class Restless(Kept):
    draws = itertools.count()

    def batches(self, split, batch_size, *, limit=None, seed=0):
        return super().batches(split, batch_size, limit=limit, seed=next(self.draws))


class ShuffledTest(Kept):
    def batches(self, split, batch_size, *, limit=None, seed=0):
        examples = self.data[split]
        order = torch.randperm(len(examples), generator=torch.Generator().manual_seed(seed))
        for chosen in order[:limit].split(batch_size):
            yield examples.take(chosen).inputs, examples.take(chosen).targets


class Unshuffled(Kept):
    def batches(self, split, batch_size, *, limit=None, seed=0):
        return super().batches(split, batch_size, limit=limit)


class Boundless(Kept):
    def batches(self, split, batch_size, *, limit=None, seed=0):
        return super().batches(split, batch_size, seed=seed)


class Dropping(Kept):
    def model(self):
        return nn.Sequential(super().model(), nn.Dropout(0.5)).train()


class Drawing(Kept):
    def model(self):
        class Noise(nn.Module):
            def forward(self, x):
                return x + torch.randn_like(x)

        return nn.Sequential(super().model(), Noise()).eval()


class Mixing(Kept):
    def model(self):
        class Centered(nn.Module):
            def forward(self, x):
                return x - x.mean(0)

        return nn.Sequential(super().model(), Centered()).eval()


class Cut(Kept):
    def loss(self, outputs, targets):
        return F.cross_entropy(outputs.detach().requires_grad_(), targets)


class Unreduced(Kept):
    def loss(self, outputs, targets):
        return F.cross_entropy(outputs, targets, reduction="none")


class Batched(Kept):
    def example_inputs(self):
        return (self.data["test"].inputs[0][:2],)


class Doubled(Kept):
    def example_inputs(self):
        return (super().example_inputs()[0].double(),)


class Lacking(Kept):
    def batches(self, split, batch_size, **options):
        return iter(()) if split == "calibration" else super().batches(split, batch_size, **options)


class Raising(Kept):
    def loss(self, outputs, targets):
        raise KeyError("weights")


@pytest.mark.parametrize(
    ("broken", "check", "says"),
    [
        (Leaking, "disjoint", "60 in both validation and test"),
        (Restless, "order", "train differs from one time to the next"),
        (ShuffledTest, "shuffling", "calibration depends on the seed"),
        (Unshuffled, "shuffling", "train comes in one order"),
        (Boundless, "limit", "train with limit=7 gives 260 examples"),
        (Dropping, "model", r"end with \.eval\(\)"),
        (Drawing, "model", "draws at random"),
        (Mixing, "batches", "alone and in a batch differ"),
        (Cut, "loss", "reaches no parameter"),
        (Unreduced, "loss", "must be a finite scalar"),
        (Batched, "inputs", "must have a batch of 1"),
        (Doubled, "inputs", "train has inputs float32 6, and example_inputs\\(\\) float64 6"),
        (Lacking, "splits", "0 calibration, 60 validation, 60 test: calibration must not be empty"),
        (Raising, "loss", "raised KeyError: 'weights'"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_breaks_the_contract_is_named(broken, check, says):
    found = verdicts(broken())

    assert found[check].verdict == "fails"
    assert re.search(says, found[check].detail)


def test_few_equal_examples_are_a_warning_and_many_a_fault():
    torch.manual_seed(0)
    values = torch.randn(4000, 6)
    workload = Kept()
    workload.data = Splits({"train": Examples((values,), (values.sum(1) > 0).long())})
    test, train = workload.data["test"].inputs[0], workload.data["train"].inputs[0]

    test[0] = train[0]
    few = verdicts(workload)["disjoint"]
    test[:3] = train[:3]
    many = verdicts(workload)["disjoint"]

    assert (few.verdict, few.detail) == ("warns", "1 in both train and test: equal examples in the data?")
    assert (many.verdict, many.detail[:24]) == ("fails", "3 in both train and test")
