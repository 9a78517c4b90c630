import copy

import pytest
import torch
from torch import nn

from compression.batch_norm import reestimate
from spaces import WorkloadError
from tests.models import Mlp


class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop, self.conv = nn.Dropout(0.5), nn.Conv2d(1, 4, 3)
        self.norm, self.plain = nn.BatchNorm2d(4), nn.BatchNorm2d(4, track_running_stats=False)

    def forward(self, x):
        return self.plain(self.norm(self.conv(self.drop(x))))


def test_statistics_are_the_plain_averages_over_batches(digits):
    model = Normed().eval()
    expected, seen = copy.deepcopy(model), []
    with torch.no_grad():
        for inputs, _ in digits.batches("train", 64, seed=3):
            seen.append(expected.conv(*inputs))  # dropout sleeps

    reestimate(model, digits, seed=3)

    assert len(seen) == 14
    means = torch.stack([each.mean((0, 2, 3)) for each in seen]).mean(0)
    variances = torch.stack([each.transpose(0, 1).flatten(1).var(1) for each in seen]).mean(0)
    assert torch.allclose(model.norm.running_mean, means, atol=1e-5)
    assert torch.allclose(model.norm.running_var, variances, atol=1e-5)
    assert model.norm.momentum == 0.1
    assert not any(module.training for module in model.modules())


def test_only_so_many_batches_are_read(digits):
    model = Normed().eval()

    reestimate(model, digits, seed=0, batches=2)

    assert int(model.norm.num_batches_tracked) == 2


def test_statistics_of_other_data_come_back_and_nothing_else_changes(digits, digits_model):
    model = copy.deepcopy(digits_model)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.add_(3.0)
            module.running_var.mul_(5.0)
    (inputs, targets) = next(digits.batches("validation", 300))
    spoilt = (model(*inputs).argmax(1) == targets).float().mean()

    reestimate(model, digits, seed=0)

    assert spoilt < 0.5
    assert (model(*inputs).argmax(1) == targets).float().mean() > 0.97
    assert all(
        torch.equal(one, other)
        for one, other in zip(model.parameters(), digits_model.parameters(), strict=True)
    )


def test_a_model_without_batch_norm_reads_no_data():
    model = Mlp()
    before = [parameter.clone() for parameter in model.parameters()]

    reestimate(model, None, seed=0)

    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))


def test_batches_of_one_cannot_be_estimated_from_and_statistics_stay(digits):
    class Single(type(digits)):
        def batches(self, split, batch_size, *, limit=None, seed=0):
            return super().batches(split, 1, limit=3, seed=seed)

    model = Normed().eval()
    model.norm.running_mean.fill_(7.0)

    with pytest.raises(WorkloadError, match="no batch of two"):
        reestimate(model, Single(), seed=0)
    assert model.norm.momentum == 0.1
    assert bool((model.norm.running_mean == 7.0).all())
