import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluators.workloads import is_file_reference, list_workloads, load_workload
from evaluators.workloads.digits_cnn import DigitsCnn
from spaces import Conflict, InvalidValue, UnknownName, WorkloadError

SPLITS = ("train", "calibration", "validation", "test")


def whole(workload, split, **options):
    inputs, targets = zip(*((x, y) for (x,), y in workload.batches(split, 100, **options)), strict=True)
    return torch.cat(inputs), torch.cat(targets)


def test_the_splits_share_no_example_and_leave_none_out(digits):
    rows = [digits._splits[split][0].flatten(1).numpy() for split in SPLITS]

    # digits holds 1,797 images, no two of them alike
    assert len(np.unique(np.concatenate(rows), axis=0)) == sum(map(len, rows)) == 1797


def test_every_split_has_all_classes_in_the_same_shares(digits):
    for split in SPLITS[1:]:
        shares = np.bincount(whole(digits, split)[1]) / len(whole(digits, split)[1])
        assert shares == pytest.approx(0.1, abs=0.02)


def test_only_train_is_shuffled_and_by_the_seed(digits):
    assert torch.equal(whole(digits, "test", seed=1)[0], whole(digits, "test", seed=2)[0])
    assert torch.equal(whole(digits, "train", seed=1)[0], whole(digits, "train", seed=1)[0])
    assert not torch.equal(whole(digits, "train", seed=1)[1], whole(digits, "train", seed=2)[1])


def test_a_limit_bounds_the_examples(digits):
    assert len(whole(digits, "train", limit=130)[0]) == 130
    assert len(whole(digits, "validation", limit=7)[0]) == 7


def test_another_seed_splits_otherwise(digits):
    assert not torch.equal(whole(DigitsCnn(1), "test")[0], whole(digits, "test")[0])


def test_the_trained_model_is_right_on_985_of_1000_test_images(digits, digits_model):
    images, labels = whole(digits, "test")

    with torch.no_grad():
        assert digits.metric(digits_model(images).numpy(), labels.numpy()) >= 0.985


def test_an_unknown_split_is_named_with_the_known_ones(digits):
    with pytest.raises(
        UnknownName, match="unknown split 'dev'; choose one of: calibration, test, train, validation"
    ):
        next(digits.batches("dev", 1))


def test_registered_workloads_are_known_without_being_loaded():
    assert list_workloads()["digits-cnn"].source == "evaluators.workloads.digits_cnn:DigitsCnn"
    assert load_workload("digits-cnn").name == "digits-cnn"


def test_listing_loads_neither_torch_nor_data():
    code = "import sys; from evaluators.workloads import list_workloads; list_workloads(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


def test_every_workload_of_the_distribution_is_made_without_its_data_and_bears_its_name(
    tmp_path, monkeypatch
):
    for variable in (
        "TAUTEN_FASHION_MNIST",
        "TAUTEN_MOVIE_REVIEWS",
        "TAUTEN_MINILM",
        "TAUTEN_JAPANESE_VOWELS",
        "TAUTEN_CACHE",
    ):
        monkeypatch.setenv(variable, str(tmp_path))
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    entries = project["entry-points"]["tauten.workloads"]

    assert {"digits-cnn", "fashion-mobilenet", "fashion-resnet", "minilm-sentiment", "speech-lstm"} <= set(
        entries
    )
    for name, value in entries.items():
        assert EntryPoint(name, value, "tauten.workloads").load()().name == name


def test_an_unknown_workload_is_named_with_the_known_ones():
    with pytest.raises(UnknownName, match="unknown workload 'nope'; choose one of: digits-cnn"):
        load_workload("nope")


def test_a_file_is_not_loaded_unless_files_are_allowed(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("raise SystemExit('this must not run')")

    assert is_file_reference(f"{path}:factory")
    with pytest.raises(UnknownName):
        load_workload(f"{path}:factory")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("x = 1", "has no attribute 'factory'"),
        ("def factory(): return 3", "int lacks model, example_inputs, batches, loss, metric, name, task"),
        ("def factory(): raise KeyError('weights')", "KeyError: 'weights'"),
    ],
    ids=["raises", "no factory", "no workload", "factory raises"],
)
def test_a_file_with_a_fault_is_named_with_the_cause(tmp_path, code, says):
    path = tmp_path / "mine.py"
    path.write_text(code)

    with pytest.raises(WorkloadError) as caught:
        load_workload(f"{path}:factory", allow_files=True)

    assert says in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WorkloadError, match=r"nothing\.py does not exist"):
        load_workload(f"{tmp_path}/nothing.py:factory", allow_files=True)


def test_workloads_can_be_registered_in_a_file(tmp_path):
    (tmp_path / "tauten.toml").write_text(
        '[workloads]\nmine = "sub/mine.py:factory"\nother = "package.module:make"\n'
    )

    found = list_workloads(tmp_path)

    assert found["mine"].source == f"{tmp_path.resolve()}/sub/mine.py:factory"
    assert found["other"].source == "package.module:make"
    assert "digits-cnn" in found


def test_a_name_that_is_registered_twice_is_a_conflict(tmp_path):
    (tmp_path / "tauten.toml").write_text('[workloads]\ndigits-cnn = "mine.py:factory"\n')

    with pytest.raises(Conflict, match="'digits-cnn' is registered twice"):
        list_workloads(tmp_path)


@pytest.mark.parametrize("text", ["[workloads", '[workloads]\nmine = "no factory"\n'])
def test_a_registration_that_is_wrong_names_the_file(tmp_path, text):
    (tmp_path / "tauten.toml").write_text(text)

    with pytest.raises(InvalidValue, match=r"tauten\.toml"):
        list_workloads(tmp_path)
