import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from compression import export_float
from evaluators.runtime import open_session
from evaluators.workloads import is_file_reference, list_workloads, load_workload
from spaces import UnknownName, WorkloadError

NETWORK = """
from torch import nn

def make(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, classes))
"""

IMAGES = {"images": "pictures", "size": [4, 4], "channels": 1, "mean": 0.5, "std": 0.25}


def network(classes=2):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, classes))


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "net.py").write_text(NETWORK)
    save_file(network().state_dict(), tmp_path / "weights.safetensors")
    values = np.random.default_rng(0).normal(size=(100, 1, 4, 4))
    np.savez(tmp_path / "data.npz", x=values, y=(values.sum((1, 2, 3)) > 0).astype(np.int32))
    for name, level in (("dark", 20), ("light", 220)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for index in range(20):
            Image.new("L", (9, 7), level + index).save(tmp_path / "pictures" / name / f"{index}.png")
    return tmp_path


def described(directory, **changes):
    document = {
        "name": "mine",
        "task": "image-classification",
        "model": {"file": "net.py", "factory": "make", "weights": "weights.safetensors", "arguments": {"classes": 2}},
        "data": {"npz": "data.npz"},
    }  # fmt: skip
    (directory / "mine.yaml").write_text(yaml.safe_dump(document | changes))
    return f"torch:{directory}/mine.yaml"


def load(name):
    return load_workload(name, allow_files=True)


def test_a_description_becomes_a_workload_with_its_weights_and_four_splits(directory, tmp_path):
    workload = load(described(directory))
    model = workload.model()
    export_float(model, workload, tmp_path / "float.onnx")
    (images,), labels = next(workload.batches("validation", 64))

    assert torch.equal(model[1].weight, network()[1].weight)
    assert not model.training
    assert [sum(len(y) for _, y in workload.batches(split, 7)) for split in ("train", "calibration", "validation", "test")] == [65, 5, 15, 15]  # fmt: skip
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    outputs = open_session(tmp_path / "float.onnx").run({"input": images.numpy()})
    assert 0 <= workload.metric(outputs, labels.numpy()) <= 1


def test_images_are_scaled_normalized_and_labelled_by_their_folders(directory):
    workload = load(described(directory, data=IMAGES))
    (images,), labels = next(workload.batches("train", 100))

    assert images.shape == (26, 1, 4, 4)
    assert (images.mean((1, 2, 3)) > 0).tolist() == labels.bool().tolist()
    assert images.min() == pytest.approx((20 / 255 - 0.5) / 0.25, abs=0.4)


def test_a_folder_with_splits_is_taken_as_it_is(directory):
    for split in ("train", "test"):
        (directory / "split" / split).mkdir(parents=True)
    (directory / "pictures" / "dark").rename(directory / "split" / "train" / "dark")
    (directory / "pictures" / "light").rename(directory / "split" / "train" / "light")
    (directory / "split" / "test" / "light").mkdir()
    Image.new("L", (4, 4), 255).save(directory / "split" / "test" / "light" / "one.png")
    workload = load(described(directory, data=IMAGES | {"images": "split"}))

    (images,), labels = next(workload.batches("test", 9))
    assert labels.tolist() == [1]
    assert images.unique().tolist() == [2.0]


def test_values_can_be_predicted_and_are_judged_by_the_variance_explained(directory):
    workload = load(described(directory, task="regression", loss="mean-squared-error"))
    truth = np.array([1.0, 2.0, 4.0])

    assert workload.metric(truth[:, None], truth) == 1
    assert workload.metric(np.full((3, 1), truth.mean()), truth) == pytest.approx(0)
    assert float(workload.loss(torch.tensor([[1.0], [3.0]]), torch.tensor([1.0, 1.0]))) == 2


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"loss": "hinge"}, "/loss: 'hinge' is not one of: cross-entropy, mean-squared-error"),
        ({"nmae": "x"}, "/nmae: is not a known field"),
        ({"name": "a b"}, "/name: must be of letters"),
        ({"data": {"npz": "other.npz"}}, "other.npz does not exist"),
        ({"data": {"images": "pictures", "size": [4, 4], "channels": 2}}, "/data/channels: must be 1 (gray) or 3"),
        ({"data": {"images": "none", "size": [4, 4]}}, "/data/images: must be a folder"),
        ({"model": {"file": "net.py", "factory": "make", "weights": "no.safetensors"}}, "no.safetensors does not exist"),
    ],
)  # fmt: skip
def test_a_description_with_a_fault_is_refused_with_its_place(directory, changes, says):
    with pytest.raises(WorkloadError) as caught:
        load(described(directory, **changes))

    assert says in str(caught.value)


def test_pickled_arrays_are_refused(directory):
    np.savez(directory / "data.npz", x=np.array([{"a": 1}] * 9, dtype=object), y=np.arange(9))
    workload = load(described(directory))

    with pytest.raises(WorkloadError, match=r"data\.npz is no \.npz of plain arrays"):
        workload.example_inputs()


def test_a_missing_array_is_named_with_those_that_are_there(directory):
    workload = load(described(directory, data={"npz": "data.npz", "inputs": ["images"]}))

    with pytest.raises(WorkloadError, match=r"lacks images; it holds x, y"):
        workload.example_inputs()


def test_weights_of_another_network_are_refused(directory):
    save_file(network(3).state_dict(), directory / "weights.safetensors")

    with pytest.raises(WorkloadError, match="does not hold this network's weights"):
        load(described(directory)).model()


def test_a_description_runs_code_and_so_is_loaded_by_name_or_where_files_are_allowed(directory):
    name = described(directory)
    (directory / "tauten.toml").write_text('[workloads]\nmine = "torch:mine.yaml"\n')

    assert is_file_reference(name)
    with pytest.raises(UnknownName):
        load_workload(name)
    assert list_workloads(directory)["mine"].source == f"torch:{directory.resolve()}/mine.yaml"
