import numpy as np
import pytest
import torch

from compression import export_float, list_layers
from evaluators.runtime import open_session
from evaluators.workloads import japanese_vowels
from evaluators.workloads.japanese_vowels import FILES, read_utterances
from evaluators.workloads.speech_lstm import SpeechLstm, SpeechNet
from spaces import WorkloadError


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """Utterances whose first coefficient tells the speaker."""
    torch.set_num_threads(1)
    draw = np.random.default_rng(0)
    for name, each in ((FILES["train"], 30), (FILES["test"], 40)):
        lines = ["@classLabel true 1 2 3 4 5 6 7 8 9", "@data"]
        for speaker in np.repeat(np.arange(1, 10), each):
            values = draw.normal(0, 0.1, (12, draw.integers(7, 30)))
            values[0] += speaker
            lines.append(":".join([*(",".join(f"{v:.6f}" for v in row) for row in values), str(speaker)]))
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    monkeypatch.setenv(japanese_vowels.VARIABLE, str(tmp_path))
    monkeypatch.setenv("TAUTEN_CACHE", str(tmp_path / "cache"))
    return tmp_path


def whole(workload, split, **options):
    inputs, targets = zip(*((x, y) for (x,), y in workload.batches(split, 64, **options)), strict=True)
    return torch.cat(inputs), torch.cat(targets)


def test_utterances_end_at_the_last_step_and_are_filled_up_with_zeros_before():
    values, speakers = whole(SpeechLstm(), "validation")

    assert values.shape == (150, 29, 12)
    assert sorted(set(speakers.tolist())) == list(range(9))
    assert (values[:, -1] != 0).all()
    starts = (values != 0).any(2).float().argmax(1)
    assert all((row[:start] == 0).all() and (row[start:] != 0).any(1).all() for row, start in zip(values, starts, strict=True))  # fmt: skip


def test_coefficients_have_mean_zero_and_variance_one_over_the_steps_of_train():
    workload = SpeechLstm()
    values = workload._data.splits["train"].inputs[0]
    spoken = values[(values != 0).any(2)]

    assert spoken.mean(0) == pytest.approx(np.zeros(12), abs=1e-5)
    assert spoken.std(0, correction=0) == pytest.approx(np.ones(12), abs=1e-4)


def test_noise_is_added_to_train_alone_and_never_to_what_is_filled_up():
    workload = SpeechLstm()

    assert torch.equal(whole(workload, "test", seed=1)[0], whole(workload, "test", seed=2)[0])
    noisy = whole(workload, "train", seed=1)[0]
    assert not torch.equal(noisy, whole(workload, "train", seed=2)[0])
    assert (noisy[:, 0] == 0).all(1).any()


def test_the_network_is_exported_as_pytorch_computes_it_with_its_recurrent_layer_named(tmp_path):
    torch.manual_seed(0)
    workload, model = SpeechLstm(), SpeechNet().eval()
    export_float(model, workload, tmp_path / "float.onnx")
    values, _ = whole(workload, "validation", limit=5)

    with torch.no_grad():
        eager = model(values).numpy()
    assert np.abs(open_session(tmp_path / "float.onnx").run({"input": values.numpy()}) - eager).max() < 1e-5
    assert [layer.name for layer in list_layers(model, workload.example_inputs())] == ["embed", "lstm", "hidden", "head"]  # fmt: skip


@pytest.mark.parametrize(
    "line", ["1,2,3:1", ":".join(["1,2"] * 12 + ["nine"]), ":".join(["1"] * 11 + ["1,2", "3"])]
)
def test_a_damaged_file_is_named_with_the_remedy(files, line):
    (files / FILES["train"]).write_text(f"@data\n{line}\n")

    with pytest.raises(WorkloadError, match=r"TRAIN\.ts does not hold utterances.*make data"):
        read_utterances(files / FILES["train"])


def test_missing_files_are_named_with_the_remedy(files):
    (files / FILES["test"]).unlink()

    with pytest.raises(WorkloadError, match=r"lacks JapaneseVowels_TEST\.ts; run `make data`"):
        SpeechLstm().example_inputs()
