import numpy as np
import pytest
import torch
from torch import nn

from compression import export_float, take_inventory
from evaluators.runtime import open_session
from evaluators.workloads import fashion_resnet
from evaluators.workloads.fashion_classifier import FashionClassifier
from evaluators.workloads.fashion_mnist import VARIABLE
from evaluators.workloads.fashion_mobilenet import FashionMobileNet
from evaluators.workloads.fashion_resnet import FashionResNet
from spaces import WorkloadError
from tests.evaluators.workloads.idx_files import write_fashion_mnist

WORKLOADS = pytest.mark.parametrize("make", [FashionResNet, FashionMobileNet])


class Small(FashionClassifier):
    """A network of a moment's training."""

    name = "small"
    epochs = 6
    weight_decay = 1e-4

    def network(self):
        return nn.Sequential(
            nn.Conv2d(1, 8, 5, 2, 2, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(1568, 10),
        )


@pytest.fixture
def _files(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    write_fashion_mnist(tmp_path)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setenv("TAUTEN_CACHE", str(tmp_path / "cache"))


def untrained(workload):
    """With statistics of BatchNorm as after training, so that folding them is tested."""
    torch.manual_seed(0)
    model = workload.network().to(memory_format=torch.channels_last)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


@WORKLOADS
@pytest.mark.usefixtures("_files")
def test_the_exported_network_equals_eager_pytorch_for_any_batch(make, tmp_path):
    workload = make()
    model = untrained(workload)
    export_float(model, workload, tmp_path / "float.onnx")
    session = open_session(tmp_path / "float.onnx")

    for batch_size in (1, 5):
        (images,), _ = next(workload.batches("validation", batch_size))
        with torch.no_grad():
            eager = model(images).numpy()
        exported = session.run({"input": images.numpy()})
        assert eager.shape == (batch_size, 10)
        assert np.abs(exported - eager).max() <= 1e-3 * max(1, np.abs(eager).max())


@WORKLOADS
@pytest.mark.usefixtures("_files")
def test_every_group_but_the_head_can_be_pruned(make):
    workload = make()
    inventory = take_inventory(untrained(workload), workload.example_inputs())

    assert {group.leader for group in inventory.groups if group.fixed_because} == {"head"}


@pytest.mark.parametrize(
    ("make", "parameters", "macs"),
    [(FashionResNet, 2_797_034, 114_064_384), (FashionMobileNet, 351_738, 24_088_320)],
)
@pytest.mark.usefixtures("_files")
def test_the_networks_are_as_large_as_the_docs_say(make, parameters, macs):
    workload = make()
    model = untrained(workload)
    inventory = take_inventory(model, workload.example_inputs())

    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert sum(layer.macs for layer in inventory.layers) == macs


@pytest.mark.usefixtures("_files")
def test_the_mobilenet_has_a_depthwise_layer_in_each_block():
    workload = FashionMobileNet()
    inventory = take_inventory(untrained(workload), workload.example_inputs())

    assert [layer.name for layer in inventory.layers if layer.op == "depthwise-conv"] == [
        f"blocks.{index}.depthwise.0" for index in range(9)
    ]


def accuracy(workload, model, split):
    outputs, targets = [], []
    with torch.no_grad():
        for (images,), labels in workload.batches(split, 50):
            outputs.append(model(images).numpy())
            targets.append(labels.numpy())
    return workload.metric(np.concatenate(outputs), np.concatenate(targets))


@pytest.mark.usefixtures("_files")
def test_training_learns_and_its_result_is_cached(capsys):
    workload = Small()
    model = workload.model()

    assert not model.training
    assert accuracy(workload, model, "test") >= 0.9
    assert "small: training 100%" in capsys.readouterr().err

    again = Small().model()
    assert capsys.readouterr().err == ""
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


@pytest.mark.usefixtures("_files")
def test_training_gives_the_same_weights_again_and_others_for_another_seed(tmp_path, monkeypatch):
    torch.manual_seed(5)
    first = Small().model().state_dict()

    monkeypatch.setenv("TAUTEN_CACHE", str(tmp_path / "other"))
    second = Small().model().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)

    assert not torch.equal(Small(seed=1).model().state_dict()["0.weight"], first["0.weight"])


@pytest.mark.usefixtures("_files")
def test_weights_lie_channels_last():
    weight = Small().model()[0].weight

    assert weight.is_contiguous(memory_format=torch.channels_last)


@WORKLOADS
def test_without_data_each_use_says_what_to_do(make, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    workload = make()

    for use in (workload.model, workload.example_inputs, lambda: next(workload.batches("test", 1))):
        with pytest.raises(WorkloadError, match="run `make data`"):
            use()


@pytest.mark.usefixtures("_files")
def test_the_resnet_is_trained_on_small_images_first_and_keeps_float_weights(monkeypatch):
    monkeypatch.setattr(fashion_resnet, "SIDES", (20, 28))
    monkeypatch.setattr(FashionResNet, "epochs", 2)
    workload = FashionResNet()

    sides = [next(workload.resized(epoch))[0][0].shape[-2:] for epoch in range(2)]
    model = workload.model()

    assert sides == [(20, 20), (28, 28)]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert torch.isfinite(model(next(workload.batches("test", 4))[0][0])).all()


@pytest.mark.parametrize("is_on", [False, True])
def test_training_in_bfloat16_gives_float32_outputs_and_gradients(monkeypatch, is_on):
    torch.manual_seed(0)
    monkeypatch.setattr(fashion_resnet, "multiplies_bfloat16", lambda: is_on)
    model = nn.Linear(8, 4)
    x = torch.randn(16, 8)
    outputs = fashion_resnet.Halved(model)(x)
    outputs.sum().backward()

    assert outputs.dtype == model.weight.grad.dtype == torch.float32
    assert torch.equal(outputs, model(x)) != is_on
    assert torch.allclose(outputs, model(x), atol=0.05)
