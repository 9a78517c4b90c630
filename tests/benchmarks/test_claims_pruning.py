"""The claims about pruning and quantization: their figures exactly, and the cheapest one for real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torch import nn
from torch.nn import functional as F  # noqa: N812

from benchmarks.claims.channels import PLAIN_RATIO, SLIM_RATIOS, channels
from benchmarks.claims.claim import Setting
from benchmarks.claims.inverted_residuals import InvertedResiduals
from benchmarks.claims.plain_cnn import PlainCnn
from benchmarks.claims.registry import CLAIMS
from benchmarks.claims.row_encoder import BLOCKS, HEADS, RowEncoder
from benchmarks.claims.small_workload import SmallWorkload, on_digits
from benchmarks.claims.trials import Trials, removed_share, speedup, weights_of, zero_share
from compression import Artifact
from compression.heads import head_groups
from compression.training import Plan
from evaluators.latency import Timing
from spaces import Policy

if TYPE_CHECKING:
    from pathlib import Path

HALF = {
    "threshold",
    "l1-training",
    "vgg-l1",
    "slimming",
    "iterative",
    "head-gradient",
    "int8-int4-qat",
    "prune-int8",
}


class Noise:
    """Images of noise, eight a split."""

    def batches(self, split, batch_size, *, limit=None, seed=0):
        generator = torch.Generator().manual_seed(seed)
        yield (torch.rand(8, 1, 28, 28, generator=generator)[: min(batch_size, limit or 8)],), torch.arange(8)


class Linear(nn.Module):
    """The smallest network on digits."""

    def __init__(self):
        super().__init__()
        self.out = nn.Linear(64, 10)

    def forward(self, x):
        return F.relu(self.out(x.flatten(1)))


def untrained(network):
    return SmallWorkload("untrained", network, Noise(), Plan(0))


def file_of(path: Path, *arrays: np.ndarray) -> Artifact:
    """A graph of nothing but initializers."""
    tensors = [numpy_helper.from_array(array, f"w{index}") for index, array in enumerate(arrays)]
    onnx.save(helper.make_model(helper.make_graph([], "weights", [], [], tensors)), path)
    return Artifact.at(path)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of trained networks."""
    monkeypatch.setenv("TAUTEN_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_each_claim_about_pruning_and_quantization_is_registered_under_its_own_name():
    assert set(CLAIMS) >= HALF
    assert all(CLAIMS[name].name == name and CLAIMS[name].source for name in HALF)


def test_a_share_of_zeros_counts_matrices_of_floats_alone(tmp_path):
    matrix = np.array([[0, 1, 0], [2, 3, 4]], np.float32)
    file = file_of(tmp_path / "f.onnx", matrix, np.zeros(7, np.float32), np.zeros((2, 2), np.int8))
    assert weights_of(file).tolist() == [0, 1, 0, 2, 3, 4]
    assert zero_share(file) == pytest.approx(2 / 6)


def test_a_removed_share_is_of_the_weights_before(tmp_path):
    before = file_of(tmp_path / "a.onnx", np.ones((8, 5), np.float32))
    after = file_of(tmp_path / "b.onnx", np.ones((2, 5), np.float32))
    assert removed_share(before, after) == pytest.approx(0.75)


def test_a_speedup_is_the_inverse_of_the_ratio_with_its_ends_exchanged():
    timing = Timing(ratio=0.25, low=0.2, high=0.5, wall_ms=1.0, cpu_ms=1.0, contended=True, rounds=15)
    assert speedup(timing) == (4.0, "2.00 … 5.00 (contended)")


@pytest.mark.parametrize(
    ("network", "ratio", "criterion", "least"),
    [(PlainCnn, PLAIN_RATIO, "l1", 0.8), (InvertedResiduals, SLIM_RATIOS[-1], "bn_scale", 0.4)],
)
def test_the_ratio_of_a_claim_removes_the_parameters_that_it_names(cache, network, ratio, criterion, least):
    trials = Trials(untrained(network), cache)
    file = trials.untrained(Policy(layers=channels(trials, ratio, criterion)))
    assert least <= removed_share(trials.artifact, file) < 1


def test_every_head_of_the_encoder_can_be_removed(cache):
    workload = on_digits("encoder", RowEncoder, 0)
    groups = head_groups(workload.model(), workload.example_inputs())
    assert [(group.units, group.fixed_because) for group in groups] == [(HEADS, None)] * BLOCKS


def test_a_small_network_is_trained_once_for_each_seed(cache):
    workload = on_digits("linear", Linear, 0.1)
    first, again = workload.model().state_dict(), workload.model().state_dict()
    other = workload.seeded(1).model().state_dict()
    assert torch.equal(first["out.weight"], again["out.weight"])
    assert not torch.equal(first["out.weight"], other["out.weight"])
    assert len(list((cache / "cache").rglob("linear.safetensors"))) == 2


def test_a_threshold_removes_thirty_per_cent_of_a_trained_network_for_no_significant_loss(digits, tmp_path):
    digits.model()
    zeros, loss = CLAIMS["threshold"].run(Setting(True, 0, tmp_path, lambda text: None))
    assert zeros.holds is True
    assert zeros.measured.startswith("30.")
    assert loss.holds is True
    assert loss.is_ours
