import numpy as np
import pytest
import torch

from benchmarks.claims.combination import COMBINED, fastest_no_faster, is_tie
from benchmarks.claims.digit_task import LEVELS, PIXELS, POSITIONS, WORDS, as_clips, as_words
from benchmarks.claims.scoring import difference, parameters, percent, retained
from evaluators.latency import Timing


def timing(ratio):
    return Timing(ratio, ratio, ratio, ratio, ratio, contended=False, rounds=15)


def test_a_difference_is_that_of_the_means_and_lies_in_its_interval():
    draws = np.random.default_rng(0)
    good, bad = ([(draws.random(400) < share).astype(float) for _ in range(3)] for share in (0.9, 0.7))

    found = difference(good, bad)

    assert found.value == pytest.approx(np.mean(good) - np.mean(bad))
    assert 0 < found.low < found.value < found.high


def test_equal_runs_differ_by_nothing_with_certainty():
    flags = [np.array([1.0, 0.0, 1.0])]

    found = difference(flags, flags)

    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_retained_accuracy_is_the_share_of_the_references():
    found = retained([np.array([1.0, 1.0, 0.0, 0.0])] * 2, np.array([1.0, 1.0, 1.0, 1.0]))

    assert found.value == 0.5
    assert found.low <= 0.5 <= found.high
    assert percent([np.array([1.0, 0.0, 0.0, 0.0])]) == "25.00 %"


def test_words_spell_their_pixels():
    images = torch.randint(LEVELS, (3, 1, 8, 8)) / (LEVELS - 1)

    words, labels = as_words(images, torch.arange(3))

    assert words.shape == (3, POSITIONS)
    assert 0 <= words.min() <= words.max() < WORDS
    spelled = torch.stack([words // LEVELS**place % LEVELS for place in range(PIXELS)], 2)
    assert torch.equal(spelled.flatten(1) / (LEVELS - 1), images.flatten(1))
    assert labels.tolist() == [0, 1, 2]


def test_clips_move_a_step_a_frame_and_their_class_says_where_to():
    images = torch.rand(5, 1, 8, 8)

    clips, classes = as_clips(images, torch.full((5,), 7))

    assert clips.shape == (5, 1, 4, 8, 8)
    assert classes.tolist() == [28, 29, 30, 31, 28]
    assert torch.equal(clips[:, :, 0], images)
    assert torch.equal(clips[0, 0, 2], torch.roll(images[0, 0], 2, 1))
    assert torch.equal(clips[3, 0, 3], torch.roll(images[3, 0], -3, 0))


def test_a_rival_is_as_fast_as_it_can_be_without_being_faster():
    timings = {COMBINED: timing(0.2), "0.25": timing(0.6), "0.5": timing(0.3), "0.75": timing(0.1)}

    assert fastest_no_faster(timings, ["0.25", "0.5", "0.75"], COMBINED) == "0.5"
    assert fastest_no_faster(timings, ["0.75"], COMBINED) == "0.75"


def test_latencies_within_three_per_cent_tie():
    assert is_tie(timing(1.0), timing(1.02))
    assert not is_tie(timing(1.0), timing(1.04))


def test_parameters_are_counted_once():
    layer = torch.nn.Linear(3, 2)

    assert parameters(torch.nn.Sequential(layer, layer)) == 8
