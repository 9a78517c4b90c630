import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from compression.sparsity import apply_masks, carried, pattern_mask, ratio_masks, removed_count

seeds = st.integers(0, 99)
shapes = st.sampled_from(((5,), (3, 7), (4, 2, 3, 3)))


def scores_of(shape, seed):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@given(units=st.integers(0, 400), percent=st.integers(0, 99))
def test_a_decimal_ratio_is_rounded_down_exactly(units, percent):
    assert removed_count(units, percent / 100) == units * percent // 100


@given(first=shapes, second=shapes, seed=seeds, ratio=st.floats(0, 0.99))
def test_a_ratio_removes_exactly_its_share_of_a_layers_least_scores(first, second, seed, ratio):
    scores = [scores_of(first, seed), scores_of(second, seed + 1)]

    masks = ratio_masks(scores, ratio)

    values = torch.cat([score.flatten() for score in scores])
    kept = torch.cat([mask.flatten() for mask in masks])
    assert [mask.shape for mask in masks] == [score.shape for score in scores]
    assert int((~kept).sum()) == removed_count(values.numel(), ratio)
    assert all(low <= values[kept].min() for low in values[~kept])


def test_of_equal_scores_the_earlier_go():
    assert ratio_masks([torch.ones(4)], 0.5)[0].tolist() == [False, False, True, True]


@given(
    pattern=st.sampled_from(((1, 2), (2, 4), (1, 4), (3, 8), (4, 4), (0, 4))),
    rows=st.integers(1, 4),
    blocks=st.integers(1, 4),
    rest=st.integers(0, 3),
    seed=seeds,
)
def test_a_pattern_keeps_the_largest_of_each_block_of_a_row(pattern, rows, blocks, rest, seed):
    n, m = pattern
    rest %= m
    scores = scores_of((rows, blocks * m + rest), seed)

    mask = pattern_mask(scores, n, m)

    for row in range(rows):
        for start in range(0, blocks * m, m):
            largest = sorted(range(start, start + m), key=lambda i: float(scores[row, i]))[m - n :]
            assert [i for i in range(start, start + m) if mask[row, i]] == sorted(largest)
        assert mask[row, blocks * m :].all()


def test_a_convolutions_rows_are_its_flattened_inputs():
    scores = scores_of((3, 4, 3, 3), 0)

    mask = pattern_mask(scores, 2, 4)

    assert torch.equal(mask.flatten(1), pattern_mask(scores.flatten(1), 2, 4))
    assert (mask.reshape(3, 9, 4).sum(-1) == 2).all()


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))


def test_masked_weights_become_zero_and_others_stay_to_the_bit():
    model = small()
    before, mask = model[0].weight.detach().clone(), scores_of((4, 6), 3) > 0.5

    apply_masks(model, {"0.weight": mask})

    assert (model[0].weight[~mask] == 0).all()
    assert torch.equal(model[0].weight[mask], before[mask])


def test_a_mask_is_cut_with_its_weight_and_exact_zeros_that_stay_are_no_pruned_ones():
    model = small()
    mask = scores_of((4, 6), 3) > 0.5
    mask[1, 2] = True
    apply_masks(model, {"0.weight": mask})
    with torch.no_grad():
        model[0].weight[1, 2] = 0.0
    whole, masks = model[0].weight.detach().clone(), {"0.weight": mask}

    with carried(model, masks):
        model[0].weight = nn.Parameter(model[0].weight[[1, 3]][:, [0, 2, 5]])

    assert torch.equal(masks["0.weight"], mask[[1, 3]][:, [0, 2, 5]])
    assert torch.equal(model[0].weight, whole[[1, 3]][:, [0, 2, 5]])


def test_weights_come_back_if_cutting_fails_and_masks_of_what_is_gone_are_dropped():
    model = small()
    masks = {"0.weight": scores_of((4, 6), 3) > 0.5, "2.weight": scores_of((2, 4), 3) > 0.5}
    apply_masks(model, masks)
    before = model[0].weight.detach().clone()

    def fail():
        with carried(model, masks):
            model[2] = nn.Identity()
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()

    assert torch.equal(model[0].weight, before)
    assert list(masks) == ["0.weight"]
