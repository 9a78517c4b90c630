"""Whole policies: pruning in steps, training through quantization, continuing after a kill, saving."""

import json

import pytest
import torch

from compression import Deployment, compress, load, save, shape
from evaluators.executed import read_executed
from evaluators.runtime import open_session, predict
from spaces import (
    ActivationFormat,
    CompressionError,
    InvalidPolicy,
    LayerPolicy,
    Policy,
    Prune,
    Recovery,
    Sparsity,
    WeightFormat,
)
from tests.networks_q import Tokens

ON_EIGHT = Deployment(channel_multiple=8, threads=1)
HALF = {"stage1.0.conv1": LayerPolicy(Prune(0.5)), "stage2.0.conv1": LayerPolicy(Prune(0.5))}
LAYERS = ("stage1.0.conv1", "stage1.0.conv2", "stage1.1.conv1", "stage2.0.conv1", "stage2.1.conv1")


def made(digits, model, policy, path, **options):
    return compress(digits, model, policy, path, deployment=ON_EIGHT, **options)


def accuracy(digits, path):
    outputs, targets = predict(open_session(path), digits, "validation")
    return digits.metric(outputs, targets)


def shapes(model):
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def test_pruning_in_steps_ends_with_the_shapes_of_one_shot_and_a_good_model(digits, digits_model, tmp_path):
    policy = Policy(layers=HALF, recovery=Recovery(epochs=1.0, prune_steps=3))
    shares = []

    stepped = made(digits, digits_model, policy, tmp_path / "a.onnx", report=shares.append)

    once = shape(digits, digits_model, policy, deployment=ON_EIGHT, seed=0)
    assert shapes(stepped.model) == shapes(once.model)
    assert accuracy(digits, tmp_path / "a.onnx") > 0.95
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


def test_weights_that_are_pruned_one_by_one_stay_zero_through_training(digits, digits_model, tmp_path):
    layers = {name: LayerPolicy(Prune(0.8, "weight")) for name in LAYERS}
    policy = Policy(layers=layers, recovery=Recovery(epochs=0.3, prune_steps=2))

    weights = dict(made(digits, digits_model, policy, tmp_path / "a.onnx").model.named_parameters())

    for name in LAYERS:
        weight = weights[f"{name}.weight"]
        assert int((weight == 0).sum()) == int(0.8 * weight.numel())


def test_sparsity_training_shrinks_the_scales_that_are_pruned_afterwards(digits, digits_model, tmp_path):
    layers = {name: LayerPolicy(Prune(0.5, criterion="bn_scale")) for name in HALF}
    sparsity = Sparsity("bn_scale", 1e-2, 0.5)
    policy = Policy(layers=layers, recovery=Recovery(epochs=0.25, sparsity=sparsity))
    plain = Policy(layers=layers, recovery=Recovery(epochs=0.25))

    driven = made(digits, digits_model, policy, tmp_path / "a.onnx").model
    straight = made(digits, digits_model, plain, tmp_path / "b.onnx").model

    def scales(model):
        return float(
            sum(norm.weight.detach().abs().sum() for norm in model.modules() if hasattr(norm, "running_mean"))
        )

    assert shapes(driven) == shapes(straight)
    assert scales(driven) < scales(straight)


@pytest.mark.slow
def test_training_through_quantization_brings_back_what_few_bits_lose(digits, digits_model, tmp_path):
    low = LayerPolicy(weight=WeightFormat(2), activation=ActivationFormat(8, "static"))
    layers = dict.fromkeys(LAYERS, low)
    calibrated = made(digits, digits_model, Policy(layers=layers), tmp_path / "a.onnx")
    taught = Policy(layers=layers, recovery=Recovery(epochs=0.6, qat=True, qat_share=1.0, quantizer="lsq"))
    trained = made(digits, digits_model, taught, tmp_path / "b.onnx")

    before, after = accuracy(digits, calibrated.artifact.path), accuracy(digits, trained.artifact.path)

    assert after > before + 0.02
    assert after > 0.9
    assert {read_executed(trained.artifact.path)[name] for name in LAYERS} == {"simulated"}


def test_an_int8_artifact_that_was_trained_still_runs_in_int8(digits, digits_model, tmp_path):
    int8 = LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "static"))
    policy = Policy(
        layers=dict.fromkeys(LAYERS, int8), recovery=Recovery(epochs=0.2, qat=True, qat_share=1.0)
    )

    artifact = made(digits, digits_model, policy, tmp_path / "a.onnx").artifact

    executed = read_executed(artifact.path)
    assert {name: kind for name, kind in executed.items() if name in LAYERS} == dict.fromkeys(LAYERS, "int8")
    assert {kind for name, kind in executed.items() if name not in LAYERS} == {"float32"}
    assert accuracy(digits, artifact.path) > 0.95


def test_a_training_that_is_killed_goes_on_to_the_same_file(digits, digits_model, tmp_path):
    int8 = LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "static"))
    layers = {**HALF, "stage1.0.conv2": int8}
    policy = Policy(layers=layers, recovery=Recovery(epochs=0.3, prune_steps=2, qat=True))

    class KilledError(Exception):
        pass

    def kill(share):
        if share > 0.7:
            raise KilledError

    whole = made(digits, digits_model, policy, tmp_path / "a.onnx")
    with pytest.raises(KilledError):
        made(digits, digits_model, policy, tmp_path / "b.onnx", report=kill, checkpoints=tmp_path / "kept")
    resumed = made(digits, digits_model, policy, tmp_path / "b.onnx", checkpoints=tmp_path / "kept")

    assert resumed.artifact.digest == whole.artifact.digest


def test_a_saved_model_comes_back_to_the_bit_without_data(digits, digits_model, tmp_path):
    sparse = LayerPolicy(Prune(0.5, "weight"))
    policy = Policy(layers={**HALF, "stage1.1.conv1": sparse}, recovery=Recovery(epochs=0.1))
    compressed = made(digits, digits_model, policy, tmp_path / "a.onnx")
    save(compressed, policy, ON_EIGHT, tmp_path / "saved")

    class WithoutData:
        name, task = digits.name, digits.task
        example_inputs = staticmethod(digits.example_inputs)

        def batches(self, *arguments, **options):
            raise AssertionError("data were read")

    loaded, read = load(tmp_path / "saved", WithoutData(), digits_model)

    assert read == policy
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == [
        "model.safetensors",
        "policy.json",
    ]
    for name, tensor in compressed.model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], tensor)
    assert int((~loaded.masks["stage1.1.conv1.weight"]).sum()) == int(
        (~compressed.shaped.masks["stage1.1.conv1.weight"]).sum()
    )


def test_what_was_not_saved_together_is_refused(digits, digits_model, tmp_path):
    policy = Policy(layers=HALF)
    save(made(digits, digits_model, policy, tmp_path / "a.onnx"), policy, ON_EIGHT, tmp_path)
    other = Policy(layers={"stage1.0.conv1": LayerPolicy(Prune(0.25))})
    (tmp_path / "policy.json").write_text(json.dumps(other.to_dict()))

    with pytest.raises(CompressionError, match="another policy"):
        load(tmp_path, digits, digits_model)
    with pytest.raises(CompressionError, match="no compressed model"):
        load(tmp_path / "nowhere", digits, digits_model)


def test_a_layer_that_does_not_exist_is_refused_by_name(digits, digits_model, tmp_path):
    policy = Policy(
        layers={"stage9.conv": LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "static"))}
    )

    with pytest.raises(InvalidPolicy, match=r"has no layer 'stage9.conv'"):
        made(digits, digits_model, policy, tmp_path / "a.onnx")


GONE = {"stage1": LayerPolicy(Prune(0.5, "layer", "l1"))}
INT8 = LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "static"))


@pytest.mark.parametrize(
    "recovery",
    [
        None,
        Recovery(epochs=0.2, qat=True, qat_share=0.5),
        Recovery(epochs=0.2, qat=True, qat_share=0.5, prune_steps=2),
    ],
    ids=["calibrated", "trained", "in-steps"],
)
def test_what_is_said_of_a_layer_goes_with_its_block(digits, digits_model, tmp_path, recovery):
    policy = Policy(layers={**GONE, **dict.fromkeys(LAYERS, INT8)}, recovery=recovery)
    shares = []

    compressed = made(digits, digits_model, policy, tmp_path / "a.onnx", report=shares.append)

    (block,) = compressed.shaped.removed_blocks
    executed = read_executed(compressed.artifact.path)
    assert block in {"stage1.0", "stage1.1"}
    assert not any(name.startswith(f"{block}.") for name in executed)
    left = [name for name in LAYERS if not name.startswith(f"{block}.")]
    assert {name for name, kind in executed.items() if kind == "int8"} == set(left)
    assert recovery is None or shares[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_model_whose_quantized_layers_all_went_stays_float(digits, digits_model, tmp_path, steps):
    block = shape(digits, digits_model, Policy(layers=GONE), deployment=ON_EIGHT, seed=0).removed_blocks[0]
    recovery = Recovery(epochs=0.2, qat=True, qat_share=0.5, prune_steps=steps)
    policy = Policy(layers={**GONE, f"{block}.conv1": INT8}, recovery=recovery)
    shares = []

    compressed = made(digits, digits_model, policy, tmp_path / "a.onnx", report=shares.append)

    assert compressed.shaped.removed_blocks == (block,)
    assert set(read_executed(compressed.artifact.path).values()) == {"float32"}
    assert shares[-1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("wish", "recovery"),
    [("qat", Recovery(qat=True)), ("bias_correction", Recovery(epochs=0.0, bias_correction=True))],
)
def test_what_walks_the_graph_of_a_recurrent_model_is_refused_before_anything_is_trained(wish, recovery):
    workload = Tokens()
    policy = Policy(layers={"project": INT8}, recovery=recovery)

    with pytest.raises(InvalidPolicy, match=r"not written for LSTM and GRU \('lstm', 'gru'\)") as caught:
        shape(workload, workload.model(), policy, deployment=ON_EIGHT, seed=0)

    assert [fault.pointer for fault in caught.value.faults] == [f"/recovery/{wish}"]
