import math

import numpy as np
import pytest
from scipy import stats

from evaluators.accuracy import accuracy, accuracy_drop, score
from spaces import WorkloadError


def logits(right, total):
    """Outputs for `total` examples of class 0, of which `right` are right."""
    outputs = np.zeros((total, 2))
    outputs[:right, 0] = outputs[right:, 1] = 1
    return outputs, np.zeros(total, dtype=int)


def test_the_interval_is_about_as_wide_as_the_binomial(digits):
    metric = accuracy(digits, *logits(270, 300), "validation")

    exact = stats.binomtest(270, 300).proportion_ci(method="wilson")
    assert metric.value == 0.9
    assert metric.low == pytest.approx(exact.low, abs=0.015)
    assert metric.high == pytest.approx(exact.high, abs=0.015)


def test_the_same_outputs_have_no_drop_and_no_doubt(digits):
    outputs, targets = logits(270, 300)

    drop = accuracy_drop(digits, outputs, outputs, targets, "validation")

    assert (drop.value, drop.low, drop.high) == (0.0, 0.0, 0.0)


def test_a_drop_is_told_by_the_examples_on_which_both_differ(digits):
    before, targets = logits(290, 300)
    after, _ = logits(281, 300)

    drop = accuracy_drop(digits, before, after, targets, "validation")
    single = accuracy(digits, after, targets, "validation")

    assert drop.value == pytest.approx(0.03)
    assert 0 < drop.low < 0.03 < drop.high
    assert drop.high - drop.low < single.high - single.low + 0.03 - 0.02


def test_the_interval_follows_the_seed(digits):
    outputs, targets = logits(250, 300)

    assert accuracy(digits, outputs, targets, "test", 1) == accuracy(digits, outputs, targets, "test", 1)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_outputs_that_are_not_finite_are_refused(digits, bad):
    outputs, targets = logits(2, 3)
    outputs[1, 1] = bad

    with pytest.raises(WorkloadError, match="NaN or infinity"):
        score(digits, outputs, targets)


def test_an_empty_split_is_refused(digits):
    with pytest.raises(WorkloadError, match="split is empty"):
        score(digits, np.empty((0, 2)), np.empty(0))
