import copy

import onnxruntime
import pytest
import torch

from compression import export_float
from compression.heads import head_groups, head_scores, present_heads, remove_heads
from compression.importance import saliency
from spaces import CompressionError, PruneGroup
from tests.networks_h import (
    IMAGES,
    TOKENS,
    TRANSFORMERS,
    Encoder,
    Fixed,
    InterleavedHeads,
    SharedHeads,
    StubbornHeads,
    TorchEncoder,
    TorchLayers,
    UncountedHeads,
    llama,
    of_family,
    trained_encoder,
    untrained,
    validated,
)

pytestmark = pytest.mark.usefixtures("digits")  # one thread, which is twenty times faster here


def encoder_of(attention):
    return type("Made", (Encoder,), {"attention": attention})


def same_bits(model, state):
    return model.state_dict().keys() == state.keys() and all(
        torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items()
    )


@pytest.fixture(scope="module", params=("separate", "fused", "head-major", "reshaping", *TRANSFORMERS))
def family(request):
    model, inputs = of_family(request.param)
    return model, inputs, head_groups(model, inputs)


def test_every_layer_of_attention_is_a_group_led_by_its_first_projection(family):
    model, _, groups = family

    assert len(groups) >= 2
    for group in groups:
        assert group.fixed_because is None
        assert (group.units, group.head_size, group.granularity) == (4, 8, "head")
        assert group.leader == group.layers[0]
        assert len(group.layers) in {1, 3}
        assert model.get_submodule(group.output).in_features == 32


def test_removing_heads_is_the_same_as_zeroing_their_columns(family):
    model, inputs, groups = family
    removed, zeroed = copy.deepcopy(model), copy.deepcopy(model)
    gone = [[0], [1, 3], [2, 1, 0]]
    for group, heads in zip(groups, gone, strict=False):
        remove_heads(removed, group, heads)
        weight = zeroed.get_submodule(group.output).weight
        for head in heads:
            weight.data[:, head * 8 : head * 8 + 8] = 0.0

    with torch.no_grad():
        expected, found, whole = zeroed(*inputs), removed(*inputs), model(*inputs)
    assert torch.allclose(found, expected, atol=1e-4, rtol=0)
    assert (found - whole).abs().max() > 1e-2


def test_shapes_and_the_files_parameters_shrink(family):
    model, _, groups = family
    removed = copy.deepcopy(model)

    remove_heads(removed, groups[0], [1, 2, 3])

    assert present_heads(removed, groups[0]) == 1
    rows = 8 if len(groups[0].layers) == 3 else 24
    for name in groups[0].layers:
        layer = removed.get_submodule(name)
        assert layer.weight.shape == (rows, 32)
        assert layer.out_features == rows
        assert layer.bias is None or layer.bias.shape == (rows,)
    output = removed.get_submodule(groups[0].output)
    assert output.weight.shape == (32, 8)
    assert removed.state_dict().keys() == model.state_dict().keys()


def test_heads_go_in_steps_as_they_do_at_once(family):
    model, inputs, groups = family
    at_once, in_steps = copy.deepcopy(model), copy.deepcopy(model)

    remove_heads(at_once, groups[1], [0, 2])
    remove_heads(in_steps, groups[1], [2])
    again = {group.leader: group for group in head_groups(in_steps, inputs)}[groups[1].leader]
    assert again.units == 3
    remove_heads(in_steps, again, [0])

    assert same_bits(in_steps, at_once.state_dict())


def test_no_heads_change_nothing_and_looking_for_groups_neither(family):
    model, inputs, groups = family
    state = copy.deepcopy(model.state_dict())
    identities = {name: id(parameter) for name, parameter in model.named_parameters()}
    attributes = {name: dict(vars(module)) for name, module in model.named_modules()}

    assert head_groups(model, inputs) == groups
    remove_heads(model, groups[0], [])

    assert same_bits(model, state)
    assert {name: id(parameter) for name, parameter in model.named_parameters()} == identities
    assert all(parameter.requires_grad for parameter in model.parameters())
    for name, module in model.named_modules():
        numbers = {key: value for key, value in vars(module).items() if isinstance(value, int)}
        assert numbers.items() <= attributes[name].items()
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_a_model_without_some_heads_exports_and_computes_the_same(family, tmp_path):
    model, inputs, groups = family
    removed = copy.deepcopy(model)
    remove_heads(removed, groups[0], [0, 3])

    export_float(removed, Fixed(removed, inputs), tmp_path / "model.onnx")

    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    feed = {item.name: value.numpy() for item, value in zip(session.get_inputs(), inputs, strict=True)}
    with torch.no_grad():
        expected = removed(*inputs)
    assert torch.allclose(torch.from_numpy(session.run(None, feed)[0]), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("make", "inputs", "says"),
    [
        (
            lambda: llama(kv_heads=2),
            TOKENS,
            r"4 heads share the 2 keys .*k_proj' \(grouped-query attention\)",
        ),
        (TorchEncoder, IMAGES, r"'layers.0.attention.mha' is a torch.nn.MultiheadAttention"),
        (TorchLayers, IMAGES, r"'encoder.layers.0.self_attn' is a torch.nn.MultiheadAttention"),
        (encoder_of(UncountedHeads), IMAGES, "does not say how many heads it has; give it an attribute"),
        (encoder_of(SharedHeads), IMAGES, r"the weight of .* is tied to"),
        (encoder_of(StubbornHeads), IMAGES, "does not run with fewer heads"),
        (encoder_of(InterleavedHeads), IMAGES, "removing heads is not the same as zeroing them"),
    ],
    ids=["grouped-query", "torch", "torch-layers", "uncounted", "tied", "stubborn", "interleaved"],
)
def test_heads_that_cannot_go_are_refused_by_name_with_the_reason(make, inputs, says):
    model = untrained(make)
    state = copy.deepcopy(model.state_dict())
    groups = head_groups(model, inputs)

    assert groups
    for group in groups:
        assert group.fixed_because is not None
        with pytest.raises(CompressionError, match=repr(group.leader)):
            remove_heads(model, group, [0])
    with pytest.raises(CompressionError, match=says):
        remove_heads(model, groups[0], [0])
    assert same_bits(model, state)


def test_a_computed_weight_is_refused():
    model = untrained(Encoder)
    torch.nn.utils.parametrizations.weight_norm(model.layers[1].attention.query)

    first, second = head_groups(model, IMAGES)

    assert first.fixed_because is None
    assert "'layers.1.attention.query' is computed from other parameters" in second.fixed_because


@pytest.mark.parametrize(
    ("heads", "says"),
    [([4], r"heads 0 to 3, and \[4\] name others"), ([-1], "name others"), (range(4), "lose all of them")],
)
def test_heads_that_do_not_exist_and_the_last_head_are_refused(heads, says):
    model = untrained(Encoder)
    group = head_groups(model, IMAGES)[0]

    with pytest.raises(CompressionError, match=says):
        remove_heads(model, group, heads)


def test_a_single_head_that_is_left_is_fixed():
    model = untrained(Encoder)
    remove_heads(model, head_groups(model, IMAGES)[0], [0, 1, 3])

    first, second = head_groups(model, IMAGES)

    assert (first.units, first.fixed_because) == (1, "has a single head")
    assert (second.units, second.fixed_because) == (4, None)


def test_a_group_that_is_no_group_of_heads_is_refused():
    plain = PruneGroup("layers.0.attention.query", ("layers.0.attention.query",), 4, granularity="head")

    with pytest.raises(CompressionError, match="take it from head_groups"):
        remove_heads(untrained(Encoder), plain, [0])


def test_a_heads_score_adds_up_its_rows_and_columns(family):
    model, _, groups = family
    scores = saliency(model, None, "l2")
    group = groups[-1]

    found = head_scores(model, group, scores)

    for head in range(4):
        whole = copy.deepcopy(model)
        remove_heads(whole, group, [head])
        left = sum(float(scores.sum()) for scores in saliency(whole, None, "l2").values())
        total = sum(float(scores.sum()) for scores in scores.values())
        assert float(found[head]) == pytest.approx(total - left, rel=1e-3)


def test_a_criterion_without_scores_for_heads_is_refused():
    model = untrained(Encoder)

    with pytest.raises(CompressionError, match="no scores"):
        head_scores(model, head_groups(model, IMAGES)[0], saliency(model, None, "bn_scale"))


def test_on_a_trained_encoder_the_heads_that_matter_least_cost_least(digits):
    model = trained_encoder(digits)
    scores = saliency(model, digits, "taylor")
    weakest, strongest = copy.deepcopy(model), copy.deepcopy(model)
    for group in head_groups(model, digits.example_inputs()):
        order = head_scores(model, group, scores).abs().argsort().tolist()
        remove_heads(weakest, group, order[:2])
        remove_heads(strongest, group, order[2:])

    assert validated(digits, model) > 0.8
    assert validated(digits, weakest) > validated(digits, strongest) + 0.1
