import copy

import pytest
import torch
from torch import nn

from compression.importance import magnitudes, reduce_scores, saliency
from spaces import CompressionError, WorkloadError
from tests.models import Depthwise, Mlp, Tied
from tests.networks_p import Plain


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Networks this small are many times slower on two threads of a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tiny():
    torch.manual_seed(0)
    return Mlp().eval()


def by_hand(model, workload, combine):
    """Gradients batch by batch through ``backward``, on a copy."""
    model = copy.deepcopy(model).eval()
    totals = {}
    for inputs, targets in workload.batches("calibration", 64, limit=512):
        model.zero_grad()
        workload.loss(model(*inputs), targets).backward()
        for name, parameter in model.named_parameters():
            if name.endswith("weight"):
                totals[name] = totals.get(name, 0) + combine(parameter.detach() * parameter.grad)
    return totals


def same(scores, expected):
    assert scores.keys() == expected.keys()
    for name, score in scores.items():
        torch.testing.assert_close(score, expected[name], rtol=1e-5, atol=1e-9)


def test_magnitudes_are_absolute_values_and_squares_of_every_weight_without_biases():
    model = tiny()
    weights = {f"{name}.weight": getattr(model, name).weight.detach() for name in ("first", "second", "out")}

    same(saliency(model, Plain(model), "l1"), {name: weight.abs() for name, weight in weights.items()})
    same(saliency(model, Plain(model), "l2"), {name: weight**2 for name, weight in weights.items()})


def test_gradient_adds_the_size_of_weight_times_gradient_over_calibration_batches():
    model = tiny()

    same(saliency(model, Plain(model), "gradient"), by_hand(model, Plain(model), torch.abs))


def test_taylor_adds_weight_times_gradient_with_its_sign():
    model = tiny()
    scores = saliency(model, Plain(model), "taylor")

    same(scores, by_hand(model, Plain(model), lambda product: product))
    assert any(bool((score < 0).any()) for score in scores.values())


def test_batch_norm_scales_are_scored_by_their_size():
    model = Depthwise()
    nn.init.uniform_(model.stem[1].weight, -1, 1)

    scores = saliency(model, Plain(model), "bn_scale")

    assert set(scores) == {"stem.1.weight", "expand.1.weight", "depthwise.1.weight", "project.1.weight"}
    assert torch.equal(scores["stem.1.weight"], model.stem[1].weight.detach().abs())


def test_random_scores_are_uniform_and_follow_the_seed():
    model = tiny()
    first, again, other = (saliency(model, Plain(model), "random", seed=seed) for seed in (1, 1, 2))
    values = torch.cat([score.flatten() for score in first.values()])

    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["first.weight"], other["first.weight"])
    assert 0 <= values.min() < 0.01
    assert 0.99 < values.max() < 1
    assert abs(values.mean() - 0.5) < 0.02


@pytest.mark.parametrize("criterion", ["l1", "gradient", "taylor", "random"])
def test_scoring_leaves_the_model_as_it_was(criterion):
    model = tiny().train()
    model.second.weight.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())

    scores = saliency(model, Plain(model), criterion)

    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [p.requires_grad for p in model.parameters()] == [True, True, False, True, True, True]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training
    assert scores["second.weight"].abs().sum() > 0


def test_data_are_read_for_gradients_alone():
    class Closed(Plain):
        def batches(self, *args, **options):
            raise AssertionError("no data are needed")

    for criterion in ("l1", "l2", "bn_scale", "random"):
        saliency(tiny(), Closed(tiny()), criterion)


def test_a_tied_weight_is_scored_once():
    assert [name for name in magnitudes(Tied()) if name in {"body.weight", "tied.weight"}] == ["body.weight"]


def test_an_empty_calibration_split_is_refused():
    with pytest.raises(WorkloadError, match="calibration split is empty"):
        saliency(tiny(), Plain(None, torch.zeros(0, 1, 8, 8), torch.zeros(0).long()), "gradient")


def test_values_that_are_not_finite_are_refused_by_name():
    model = tiny()
    with torch.no_grad():
        model.second.weight[0, 0] = torch.nan

    with pytest.raises(CompressionError, match=r"'second\.weight' holds values"):
        saliency(model, Plain(model), "l1")
    with pytest.raises(WorkloadError, match="the loss on the calibration split became nan"):
        saliency(model, Plain(model), "taylor")


def test_a_units_score_is_the_sum_of_its_elements_and_for_taylor_the_size_of_the_sum():
    slices = [torch.tensor([[1.0, -2.0], [3.0, 4.0]]), torch.tensor([[[-1.0]], [[0.5]]])]

    assert reduce_scores(slices, "l1").tolist() == [-2.0, 7.5]
    assert reduce_scores(slices, "taylor").tolist() == [2.0, 7.5]
