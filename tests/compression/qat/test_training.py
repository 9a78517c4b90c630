"""Training through quantization on real networks: what recovers, what stays, and what the artifact is after."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from compression.graph import layer_of
from compression.qat import GraphModule, train_quantized
from compression.qat.fake_quantize import FakeQuantizer
from compression.qat.training import pruned
from evaluators.executed import read_executed
from spaces import ActivationFormat, Recovery, WeightFormat, WorkloadError
from tests.compression.qat.artifacts import INT8, accuracy, examples, exported, run, weight_layers
from tests.models import Around, Attention, Flattening, Mlp, Reusing
from tests.networks_t import Sentences

STE, LSQ = Recovery(qat=True), Recovery(qat=True, quantizer="lsq")


def trained(workload, model, directory, recovery, files, *, epochs=1.0, seed=0, **more):
    out = directory / "trained.onnx"
    train_quantized(*files, out, workload, recovery, model, student=model, epochs=epochs, seed=seed, **more)
    return out


def arrays(path):
    return {item.name: numpy_helper.to_array(item) for item in onnx.load(path).graph.initializer}


@pytest.fixture(scope="module")
def two_bits(digits, digits_model, tmp_path_factory):
    form = {"weight": WeightFormat(2), "activation": ActivationFormat(4, "static")}
    return exported(digits, digits_model, tmp_path_factory.mktemp("two"), **form)


@pytest.mark.parametrize("recovery", [STE, LSQ], ids=["ste", "lsq"])
def test_training_recovers_what_few_bits_cost(digits, digits_model, two_bits, tmp_path, recovery):
    before = accuracy(digits, two_bits[1])

    after = accuracy(digits, trained(digits, digits_model, tmp_path, recovery, two_bits, epochs=1))

    assert before < 0.6
    assert after > 0.9


def test_training_recovers_three_bits_of_a_small_network(digits, tmp_path):
    workload = Around(digits, Mlp, epochs=30)
    model = workload.model()
    files = exported(workload, model, tmp_path, weight=WeightFormat(3))
    lost = accuracy(workload, files[0]) - accuracy(workload, files[1])

    path = trained(workload, model, tmp_path, STE, files, epochs=2)

    assert lost > 0.03
    assert accuracy(workload, path) > accuracy(workload, files[1]) + lost


def test_learned_steps_beat_fixed_ones_at_two_bits(digits, tmp_path):
    workload = Around(digits, Mlp, epochs=30)
    model = workload.model()
    form = {"weight": WeightFormat(2), "activation": ActivationFormat(4, "static")}
    files = exported(workload, model, tmp_path, **form)

    fixed = accuracy(workload, trained(workload, model, tmp_path, STE, files, epochs=2))
    learned = accuracy(workload, trained(workload, model, tmp_path, LSQ, files, epochs=2))

    assert learned > fixed + 0.05


def test_an_int8_artifact_stays_one_and_its_file_holds_the_same_names(digits, digits_model, tmp_path):
    files = exported(digits, digits_model, tmp_path, **INT8)

    path = trained(digits, digits_model, tmp_path, LSQ, files, epochs=0.2)

    onnx.checker.check_model(onnx.load(path))
    assert read_executed(path) == dict.fromkeys(weight_layers(digits_model), "int8")
    before, after = onnx.load(files[1]), onnx.load(path)
    assert before.graph.node == after.graph.node
    assert before.metadata_props == after.metadata_props
    kinds = [{name: (a.dtype, a.shape) for name, a in arrays(file).items()} for file in (files[1], path)]
    assert kinds[0] == kinds[1]
    assert accuracy(digits, path) > accuracy(digits, files[1]) - 0.01


@pytest.mark.parametrize("make", [Flattening, Reusing, Attention], ids=lambda make: make.__name__)
@pytest.mark.parametrize("bits", [(8, 8), (3, 4)])
def test_the_artifact_computes_what_the_trained_module_computes(digits, tmp_path, monkeypatch, make, bits):
    modules = []
    monkeypatch.setattr(
        "compression.qat.training.write_back",
        lambda module, model: (modules.append(module), write_back(module, model)),
    )
    from compression.qat.writing import write_back

    workload = Around(digits, make)
    model = workload.model()
    form = {"weight": WeightFormat(bits[0]), "activation": ActivationFormat(bits[1], "static")}
    files = exported(workload, model, tmp_path, **form)
    path = trained(workload, model, tmp_path, LSQ, files)
    inputs = examples(digits)[0]

    (module,) = modules
    steps = [step().max().item() for name, step in module.steps.items() if name == "tensor:output_scale"]
    computed = module(*inputs)
    computed = computed[0] if isinstance(computed, tuple) else computed
    # Below 8 bits, the default optimizers round the bias of a layer with one input channel.
    level = "ORT_ENABLE_ALL" if bits == (8, 8) else "ORT_DISABLE_ALL"
    difference = np.abs(computed.detach().numpy() - run(path, inputs, level)[0]).max()
    assert difference <= max([1.001 * step for step in steps], default=1e-4)
    before, after = arrays(files[1]), arrays(path)
    weights = [grid.integers for grid in module.grids.stored.values() if grid.sources is None]
    assert any((before[name] != after[name]).any() for name in weights)


def test_integers_keep_to_their_bits_and_scales_follow(digits, digits_model, two_bits, tmp_path):
    path = trained(digits, digits_model, tmp_path, LSQ, two_bits, epochs=0.3)

    model, after = onnx.load(path), arrays(path)
    module = GraphModule(model)
    for grid in module.grids.stored.values():
        if grid.sources is None:
            assert set(np.unique(after[grid.integers])) <= {-1, 0, 1}
            assert (after[grid.scale] > 0).all()
    clipped = [grid for grid in module.grids.activations.values() if grid.clip]
    assert len(clipped) == len(module.grids.activations) > 0
    for grid in clipped:  # the bounds moved with the scale
        low, high = (after[name] for name in grid.clip)
        assert np.isclose(low, (0 - grid.zero) * after[grid.scale])
        assert np.isclose(high, (15 - grid.zero) * after[grid.scale])
    moved = [grid for grid in clipped if after[grid.scale] != arrays(two_bits[1])[grid.scale]]
    assert len(moved) == len(clipped)


def test_int32_biases_have_the_scale_of_their_accumulators(digits, tmp_path):
    workload = Around(digits, Reusing)
    model = workload.model()
    files = exported(workload, model, tmp_path, **INT8)
    path = trained(workload, model, tmp_path, LSQ, files)

    after, grids = arrays(path), GraphModule(onnx.load(path)).grids
    biases = [grid for grid in grids.stored.values() if grid.sources is not None]
    assert len(biases) == 4  # one convolution is called twice, with a bias for each input's scale
    for grid in biases:
        inputs, weights = grid.sources
        assert np.allclose(after[grid.scale], after[inputs] * after[weights], rtol=1e-6)


def test_pruned_weights_stay_zero(digits, digits_model, tmp_path):
    import copy

    import torch

    model = copy.deepcopy(digits_model)
    with torch.no_grad():
        weight = model.stage1[0].conv1.weight
        weight[weight.abs() < weight.abs().median()] = 0
    whole, quantized = files = exported(digits, model, tmp_path, weight=WeightFormat(4))
    zeros = {name: array == 0 for name, array in arrays(whole).items() if array.ndim > 1}
    assert sum(int(mask.sum()) for mask in zeros.values()) > 10_000

    after = arrays(trained(digits, digits_model, tmp_path, STE, files, epochs=0.3))

    for name, mask in zeros.items():
        assert (after[f"{name}_quantized"][mask] == 0).all()
    assert len(pruned(GraphModule(onnx.load(quantized), onnx.load(whole)))) == 1


def test_the_same_seed_gives_the_same_file_and_another_another(digits, tmp_path):
    workload = Around(digits, Flattening, epochs=1)
    model = workload.model()
    files = exported(workload, model, tmp_path, **INT8)

    def digest(seed):
        return trained(workload, model, tmp_path, LSQ, files, seed=seed).read_bytes()

    assert digest(0) == digest(0)
    assert digest(0) != digest(1)


def test_no_epochs_leave_the_weights_as_they_were_rounded(digits, tmp_path):
    workload = Around(digits, Flattening, epochs=1)
    model = workload.model()
    files = exported(workload, model, tmp_path, weight=WeightFormat(4))

    path = trained(workload, model, tmp_path, LSQ, files, epochs=0)

    before, after = arrays(files[1]), arrays(path)
    assert all(np.allclose(before[name], after[name], rtol=1e-6) for name in before)


def test_layers_that_stay_float_are_trained_and_stay_float(digits, tmp_path):
    workload = Around(digits, Flattening, epochs=1)
    model = workload.model()
    files = exported(workload, model, tmp_path, layers=["a_1", "last_one"], **INT8)

    path = trained(workload, model, tmp_path, STE, files)

    assert read_executed(path) == {
        "a_1": "int8", "Zwei": "float32", "last_one": "int8", "weight_": "float32",
    }  # fmt: skip
    assert (arrays(path)["Zwei.weight"] != arrays(files[1])["Zwei.weight"]).any()


def test_a_killed_training_continues_to_the_same_file(digits, tmp_path):
    class KilledError(Exception):
        pass

    workload = Around(digits, Flattening, epochs=1)
    model = workload.model()
    files = exported(workload, model, tmp_path, weight=WeightFormat(4))
    whole_run = trained(workload, model, tmp_path, LSQ, files).read_bytes()

    def kill(share):
        if share > 0.5:
            raise KilledError

    checkpoint = tmp_path / "checkpoint"
    with pytest.raises(KilledError):
        trained(workload, model, tmp_path, LSQ, files, report=kill, checkpoint=checkpoint)
    assert trained(workload, model, tmp_path, LSQ, files, checkpoint=checkpoint).read_bytes() == whole_run


def test_a_bert_with_a_padding_mask_trains_at_four_bits(tmp_path):
    workload = Sentences()
    model = workload.model()
    files = exported(workload, model, tmp_path, weight=WeightFormat(4))
    inputs, targets = examples(workload, "train", 192)

    def loss(path):
        import torch

        return workload.loss(torch.from_numpy(run(path, inputs)[0]), targets).item()

    recovery = Recovery(qat=True, distill=None, optimizer="adamw", quantizer="lsq", learning_rate=5e-3)
    path = trained(workload, model, tmp_path, recovery, files, epochs=16)

    assert loss(path) < 0.5 < loss(files[1])
    executed = read_executed(path)
    assert executed == read_executed(files[1])


def test_an_empty_calibration_split_is_the_workloads_fault(digits, tmp_path):
    workload = Around(digits, Flattening, epochs=0)
    model = workload.model()
    files = exported(workload, model, tmp_path, **INT8)
    workload.batches = lambda *args, **more: iter(())

    with pytest.raises(
        WorkloadError, match="the calibration split is empty; learning step sizes needs examples"
    ):
        trained(workload, model, tmp_path, LSQ, files)
    assert not (tmp_path / "trained.onnx").exists()


def test_dynamic_layers_keep_their_integers_and_learn_biases(digits, tmp_path):
    workload = Around(digits, Flattening, epochs=1)
    model = workload.model()
    form = {"weight": WeightFormat(8), "activation": ActivationFormat(8, "dynamic")}
    files = exported(workload, model, tmp_path, **form)

    before, after = arrays(files[1]), arrays(trained(workload, model, tmp_path, STE, files))

    changed = {name for name in before if (before[name] != after[name]).any()}
    assert changed == {"a_1.bias:column", "Zwei.bias:column", "last_one.bias", "weight_.bias"}


def test_every_layer_of_the_built_in_model_is_rounded(digits, digits_model, two_bits):
    module = GraphModule(onnx.load(two_bits[1]), onnx.load(two_bits[0]), learns_steps=True)
    weights = [q for q in module.modules() if isinstance(q, FakeQuantizer) and q.is_weight]
    layers = {layer_of(grid.reader[0]) for grid in module.grids.stored.values()}

    assert layers == set(weight_layers(digits_model))
    assert len(weights) == len(layers)
    assert all(q.step.log_change is not None for q in weights)
