import math

import numpy as np
import pytest
from scipy import stats

from evaluators.accuracy import accuracy, accuracy_drop, example_scores, score
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


class Scored:
    """A workload of nothing but a metric."""

    name = "scored"

    def __init__(self, metric):
        self.metric = metric
        self.calls = 0


def share_right(outputs, targets):
    return float((outputs.argmax(axis=1) == targets).mean())


def closeness(outputs, targets):
    """A mean of scores that are neither 0 nor 1."""
    return float(-np.abs(outputs[:, 0] - targets).mean())


def correlation(outputs, targets):
    """No mean of anything: one example has none."""
    return float(np.corrcoef(outputs[:, 0], targets)[0, 1])


def f1(outputs, targets):
    """Has a value on one example, and is no mean of those."""
    guess = outputs.argmax(axis=1)
    hits = ((guess == 1) & (targets == 1)).sum()
    return float(2 * hits / max((guess == 1).sum() + (targets == 1).sum(), 1))


def regression(count, noise, seed=0):
    generator = np.random.default_rng(seed)
    targets = generator.normal(size=count)
    return (targets + noise * generator.normal(size=count))[:, None], targets


def test_a_metric_that_is_a_mean_is_told_from_one_that_is_not():
    generator = np.random.default_rng(0)
    outputs, targets = generator.normal(size=(60, 2)), generator.integers(0, 2, 60)

    assert (
        example_scores(Scored(share_right), outputs, targets).tolist()
        == (outputs.argmax(1) == targets).tolist()
    )
    assert example_scores(Scored(closeness), outputs, targets).shape == (60,)
    assert example_scores(Scored(f1), outputs, targets) is None
    with np.errstate(all="raise"):
        assert example_scores(Scored(correlation), outputs, targets) is None


def test_where_all_are_right_there_is_doubt_all_the_same():
    metric = accuracy(Scored(share_right), *logits(300, 300), "validation")

    assert metric.value == metric.high == 1.0
    assert metric.low == pytest.approx(stats.binomtest(300, 300).proportion_ci(method="wilson").low)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:Degrees of freedom:RuntimeWarning")
@pytest.mark.parametrize("metric", [closeness, correlation])
def test_any_metric_has_an_interval_that_narrows_with_the_examples(metric):
    widths = []
    for count in (50, 800):
        found = accuracy(Scored(metric), *regression(count, 0.5), "validation")
        assert found.low < found.value < found.high
        widths.append(found.high - found.low)

    assert 2 < widths[0] / widths[1] < 8


def test_the_bootstrap_of_a_mean_is_the_normal_interval():
    outputs, targets = regression(400, 0.5)
    found = accuracy(Scored(closeness), outputs, targets, "validation")
    gaps = np.abs(outputs[:, 0] - targets)
    half = 1.96 * gaps.std() / 20

    assert found.low == pytest.approx(found.value - half, abs=0.2 * half)
    assert found.high == pytest.approx(found.value + half, abs=0.2 * half)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:Degrees of freedom:RuntimeWarning")
@pytest.mark.parametrize("metric", [closeness, correlation])
def test_a_true_difference_is_told_from_chance_for_any_metric(metric):
    (good, targets), (bad, _) = regression(300, 0.2), regression(300, 0.6)
    other = targets[:, None] + 0.2 * np.random.default_rng(9).normal(size=(300, 1))

    worse = accuracy_drop(Scored(metric), good, bad, targets, "validation")
    same = accuracy_drop(Scored(metric), good, other, targets, "validation")

    assert worse.p_value < 0.01
    assert 0 < worse.low < worse.value < worse.high
    assert same.p_value > 0.05
    assert same.low < 0 < same.high


def test_a_drop_says_what_mcnemar_says(digits):
    before, targets = logits(290, 300)
    after, _ = logits(281, 300)

    drop = accuracy_drop(digits, before, after, targets, "validation")

    assert drop.p_value == pytest.approx(2 / 2**9)
    assert drop.low > 0


def test_one_example_is_no_evidence(digits):
    before, targets = logits(290, 300)
    after, _ = logits(289, 300)

    drop = accuracy_drop(digits, before, after, targets, "validation")

    assert drop.p_value == 1.0
    assert drop.low < 0 < drop.value < drop.high
