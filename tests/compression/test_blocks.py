import copy

import onnxruntime
import pytest
import torch
from torch import nn

from compression import export_float
from compression.block_influence import gate_slopes, loss_increases
from compression.blocks import block_runs, block_scores, remove_blocks
from compression.importance import saliency
from spaces import CompressionError, WorkloadError
from tests.models import Depthwise, Mlp
from tests.networks_h import (
    IMAGES,
    TRANSFORMERS,
    Encoder,
    Fixed,
    TorchLayers,
    of_family,
    trained_encoder,
    untrained,
    validated,
)

pytestmark = pytest.mark.usefixtures("digits")  # one thread, which is twenty times faster here


@pytest.fixture(scope="module", params=("separate", "tupled", *TRANSFORMERS))
def family(request):
    model, inputs = of_family(request.param)
    (run,) = block_runs(model, inputs)
    return model, inputs, run


@pytest.fixture(scope="module")
def encoder(digits):
    return trained_encoder(digits)


def without(model, blocks):
    model = copy.deepcopy(model)
    remove_blocks(model, blocks)
    return model


def outputs_of(model, inputs):
    with torch.no_grad():
        return model(*inputs)


def test_the_blocks_of_an_encoder_are_a_run_and_all_can_go(family):
    model, _, run = family

    container = model.get_submodule(run.container)
    assert run.blocks == tuple(f"{run.container}.{index}" for index in range(len(container)))
    assert len(run.blocks) >= 2
    assert run.removable == run.blocks


def test_blocks_of_a_residual_network_that_change_the_shape_stay(digits, digits_model):
    runs = {run.container: run for run in block_runs(digits_model, digits.example_inputs())}

    assert runs["stage2"].blocks == ("stage2.0", "stage2.1")
    assert runs["stage2"].removable == ("stage2.1",)
    assert runs["stage1"].removable == ("stage1.0", "stage1.1")


@pytest.mark.parametrize("make", [Depthwise, Mlp])
def test_layers_alone_and_single_blocks_are_no_run(make):
    assert block_runs(make().eval(), IMAGES) == ()


def test_a_block_that_the_model_asks_for_attributes_stays():
    """torch's encoder reads ``layers[0].self_attn``, which no stand-in has."""
    (run,) = block_runs(TorchLayers().eval(), IMAGES)

    assert run.blocks == tuple(f"encoder.layers.{index}" for index in range(3))
    assert run.removable == ("encoder.layers.1", "encoder.layers.2")


def test_looking_for_runs_leaves_the_model_as_it_was(family):
    model, inputs, run = family
    modules, state = dict(model.named_modules()), copy.deepcopy(model.state_dict())

    assert block_runs(model, inputs) == (run,)

    assert dict(model.named_modules()) == modules
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in modules.values())


def test_removing_no_block_changes_nothing(family):
    model, inputs, _ = family

    assert torch.equal(outputs_of(without(model, []), inputs), outputs_of(model, inputs))


def test_a_removed_block_hands_its_input_on_and_others_keep_their_names(family):
    model, inputs, run = family
    bypassed = copy.deepcopy(model)

    def hand_on(_, args, kwargs, output):
        first = args[0] if args else next(iter(kwargs.values()))
        return (first, *output[1:]) if isinstance(output, tuple) else first

    bypassed.get_submodule(run.blocks[1]).register_forward_hook(hand_on, with_kwargs=True)

    removed = without(model, [run.blocks[1]])

    assert torch.equal(outputs_of(removed, inputs), outputs_of(bypassed, inputs))
    assert not torch.equal(outputs_of(removed, inputs), outputs_of(model, inputs))
    kept = {name for name in model.state_dict() if not name.startswith(f"{run.blocks[1]}.")}
    assert removed.state_dict().keys() == kept
    assert len(kept) < len(model.state_dict())


def test_a_model_with_one_block_left_runs_trains_and_exports(family, tmp_path):
    model, inputs, run = family
    removed = without(model, run.blocks[1:])

    export_float(removed, Fixed(removed, inputs), tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    feed = {item.name: value.numpy() for item, value in zip(session.get_inputs(), inputs, strict=True)}
    expected = outputs_of(removed, inputs)
    assert torch.allclose(torch.from_numpy(session.run(None, feed)[0]), expected, atol=1e-4, rtol=1e-4)

    removed.train()
    removed(*inputs).sum().backward()
    assert all(parameter.grad is not None for parameter in removed.get_submodule(run.blocks[0]).parameters())


def test_the_last_block_of_a_run_cannot_go(family):
    model, inputs, run = family
    removed = without(model, run.blocks[1:])

    with pytest.raises(CompressionError, match="keep one"):
        remove_blocks(copy.deepcopy(model), run.blocks)
    with pytest.raises(CompressionError, match="keep one of 1"):
        remove_blocks(removed, run.blocks[:1])
    assert block_runs(removed, inputs) == ()


@pytest.mark.parametrize(
    ("blocks", "says"),
    [
        (["layers.7"], "no block 'layers.7'"),
        (["embed"], "no block 'embed'"),
        (["layers.0.attention.query"], "no block"),
        (["layers.1"], "'layers.1' is removed already"),
    ],
)
def test_what_is_no_block_is_refused_by_name(blocks, says):
    class Three(Encoder):
        depth = 3

    model = without(Three().eval(), ["layers.1"])
    before = dict(model.named_modules())

    with pytest.raises(CompressionError, match=says):
        remove_blocks(model, [*blocks, "layers.0"])
    assert dict(model.named_modules()) == before


def test_only_children_of_one_class_that_hold_layers_are_a_run():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            block = lambda: nn.Sequential(nn.Linear(8, 8), nn.ReLU())  # noqa: E731
            self.body = nn.Sequential(nn.ReLU(), block(), nn.LayerNorm(8), block(), nn.Linear(8, 8))

        def forward(self, x):
            return self.body(x)

    (run,) = block_runs(Mixed().eval(), IMAGES)

    assert (run.container, run.blocks, run.removable) == ("body", ("body.1", "body.3"), ("body.1", "body.3"))


def loss_of(model, workload, block, scale):
    """The mean calibration loss with the block's change of its input scaled."""
    handle = model.get_submodule(block).register_forward_hook(
        lambda _, args, output: args[0] + scale * (output - args[0])
    )
    losses, examples = 0.0, 0
    with torch.no_grad():
        for inputs, targets in workload.batches("calibration", 512):
            losses += float(workload.loss(model(*inputs), targets)) * len(targets)
            examples += len(targets)
    handle.remove()
    return losses / examples


def test_a_gates_slope_is_that_of_the_loss_along_the_blocks_removal():
    model = untrained(Encoder).double()
    inputs = torch.rand(1, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    workload = Fixed(model, (inputs,), classes=10)

    found = gate_slopes(model, ("layers.0", "layers.1"), workload)

    for block, slope in found.items():
        above, below = (loss_of(model, workload, block, 1 + step) for step in (1e-4, -1e-4))
        assert slope == pytest.approx(abs(above - below) / 2e-4, rel=1e-4)


def test_slopes_are_the_mean_over_examples_however_they_are_batched():
    model = untrained(Encoder).double()
    inputs = torch.rand(6, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    together = Fixed(model, (inputs,), classes=10)
    apart = Fixed(model, (inputs,), classes=10)
    apart.batches = lambda *_, **__: (((inputs[i : i + 1],), torch.tensor([i])) for i in range(6))

    one, six = (gate_slopes(model, ("layers.0",), workload)["layers.0"] for workload in (together, apart))

    assert one == pytest.approx(six)


def test_a_rise_of_the_loss_is_that_of_the_model_without_the_block(digits, encoder):
    found = loss_increases(encoder, ("layers.0", "layers.3"), digits)

    for block, rise in found.items():
        expected = loss_of(encoder, digits, block, 0.0) - loss_of(encoder, digits, block, 1.0)
        assert rise == pytest.approx(expected, abs=1e-5)
        assert abs(rise) > 1e-3


@pytest.mark.parametrize("measure", [gate_slopes, loss_increases])
def test_influence_leaves_blocks_gradients_flags_and_mode_as_they_were(digits, digits_model, measure):
    model = copy.deepcopy(digits_model).train()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    state, modules = copy.deepcopy(model.state_dict()), dict(model.named_modules())

    found = measure(model, ("stage1.0", "stage2.1"), digits)

    assert all(value > 0 for value in found.values())
    assert model.training
    assert dict(model.named_modules()) == modules
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in modules.values())


@pytest.mark.parametrize("measure", [gate_slopes, loss_increases])
def test_an_empty_calibration_split_is_said(measure):
    workload = Fixed(None, IMAGES)
    workload.batches = lambda *_, **__: iter(())

    with pytest.raises(WorkloadError, match="calibration split is empty"):
        measure(untrained(Encoder), ("layers.0",), workload)


@pytest.mark.parametrize(("measure", "says"), [(gate_slopes, "not finite"), (loss_increases, "is nan")])
def test_a_loss_that_is_not_finite_is_said(measure, says):
    workload = Fixed(None, IMAGES)
    workload.loss = lambda outputs, _: outputs.sum() * torch.nan

    with pytest.raises(WorkloadError, match=says):
        measure(untrained(Encoder), ("layers.0",), workload)


@pytest.mark.parametrize("criterion", ["gradient", "taylor"])
def test_on_a_trained_encoder_the_block_that_matters_least_costs_least(digits, encoder, criterion):
    (run,) = block_runs(encoder, digits.example_inputs())

    scores = block_scores(encoder, run, digits, {}, criterion)

    assert validated(digits, encoder) > 0.8
    least, most = run.blocks[int(scores.argmin())], run.blocks[int(scores.argmax())]
    assert validated(digits, without(encoder, [least])) > validated(digits, without(encoder, [most])) + 0.2


@pytest.mark.parametrize("criterion", ["l1", "l2", "gradient", "taylor", "random"])
def test_scores_are_one_for_each_block_and_the_same_again(digits, encoder, criterion):
    (run,) = block_runs(encoder, digits.example_inputs())

    first, second = (
        block_scores(encoder, run, digits, saliency(encoder, digits, criterion), criterion) for _ in range(2)
    )

    assert first.shape == (4,)
    assert torch.equal(first, second)
    assert bool(first.isfinite().all())
    assert len(first.unique()) == 4


def test_a_magnitude_score_is_the_mean_over_all_weights_of_the_block(encoder, digits):
    (run,) = block_runs(encoder, digits.example_inputs())

    scores = block_scores(encoder, run, digits, saliency(encoder, None, "l1"), "l1")

    for block, score in zip(run.blocks, scores.tolist(), strict=True):
        layers = [item for item in encoder.get_submodule(block).modules() if isinstance(item, nn.Linear)]
        weights = torch.cat([layer.weight.detach().flatten() for layer in layers])
        assert score == pytest.approx(float(weights.abs().double().mean()))


def test_blocks_that_must_stay_score_infinite(digits, digits_model):
    run = next(run for run in block_runs(digits_model, digits.example_inputs()) if run.container == "stage2")

    scores = block_scores(digits_model, run, digits, saliency(digits_model, None, "l1"), "l1")

    assert scores[0] == torch.inf
    assert scores[1] < torch.inf


def test_a_criterion_without_scores_for_a_block_is_refused(digits, encoder):
    (run,) = block_runs(encoder, digits.example_inputs())

    with pytest.raises(CompressionError, match=r"'bn_scale' gives no weight of 'layers\.0' a score"):
        block_scores(encoder, run, digits, {}, "bn_scale")
