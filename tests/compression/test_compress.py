import onnx
import pytest
import torch

from compression import Deployment, build_student, compress, export_float
from spaces import (
    ActivationFormat,
    CompressionError,
    LayerPolicy,
    Policy,
    Prune,
    Recovery,
    Student,
    WeightFormat,
)

INT8 = LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "static"))
ON_EIGHT = Deployment(channel_multiple=8, reduce_range=True)
HALF = {
    name: LayerPolicy(Prune(0.5))
    for name in (
        "stem.0",
        "stage1.0.conv1",
        "stage1.1.conv1",
        "stage2.0.conv1",
        "stage2.0.conv2",
        "stage2.1.conv1",
    )
}


def accuracy(workload, model, split="validation"):
    (images,), labels = next(workload.batches(split, 10_000))
    with torch.no_grad():
        return workload.metric(model(images).numpy(), labels.numpy())


def made(digits, model, policy, path, seed=0):
    return compress(digits, model, policy, path, deployment=ON_EIGHT, seed=seed)


def test_an_empty_policy_is_the_reference_to_the_byte(digits, digits_model, tmp_path):
    export_float(digits_model, digits, tmp_path / "reference.onnx")

    compressed = made(digits, digits_model, Policy(recovery=Recovery(epochs=0)), tmp_path / "same.onnx")

    assert compressed.artifact.path.read_bytes() == (tmp_path / "reference.onnx").read_bytes()


def test_layers_at_32_bits_change_nothing(digits, digits_model, tmp_path):
    float32 = LayerPolicy(weight=WeightFormat(32), activation=ActivationFormat(32, "none"))

    plain = made(digits, digits_model, Policy(), tmp_path / "a.onnx")
    explicit = made(digits, digits_model, Policy(layers={"stem.0": float32}), tmp_path / "b.onnx")

    assert plain.artifact.digest == explicit.artifact.digest


def test_the_same_policy_and_seed_give_the_same_file_and_another_seed_another(digits, digits_model, tmp_path):
    policy = Policy(layers={**HALF, "head": INT8}, recovery=Recovery(epochs=0.2))

    first, second, other = (
        made(digits, digits_model, policy, tmp_path / f"{index}.onnx", seed).artifact.digest
        for index, seed in enumerate((1, 1, 2))
    )

    assert first == second != other


def test_files_shrink_as_the_ratio_grows(digits, digits_model, tmp_path):
    sizes = []
    for ratio in (0.0, 0.25, 0.5, 0.75):
        layers = {name: LayerPolicy(Prune(ratio)) for name in HALF}
        sizes.append(
            made(digits, digits_model, Policy(layers=layers), tmp_path / "x.onnx").artifact.size_bytes
        )

    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 3.5 * sizes[2]


def test_a_shallower_student_keeps_the_names_of_what_remains(digits, digits_model):
    student = build_student(digits, digits_model, Student(depth=0.5), multiple=8)

    names = {name for name, module in student.named_modules() if isinstance(module, torch.nn.Conv2d)}
    assert names == {
        "stem.0", "stage1.0.conv1", "stage1.0.conv2", "stage2.0.conv1", "stage2.0.conv2", "stage2.0.shortcut.0"
    }  # fmt: skip
    assert torch.equal(student.stem[0].weight, digits_model.stem[0].weight)


def test_a_narrower_student_has_that_share_of_the_channels(digits, digits_model):
    student = build_student(digits, digits_model, Student(width=0.5), multiple=8)

    assert student.stem[0].out_channels == 32
    assert student.stage2[1].conv1.out_channels == 48
    assert student.head.out_features == 10


def test_students_that_cannot_be_built_say_why(digits, digits_model):
    with pytest.raises(CompressionError, match="no student family 'vit'; it has: self"):
        build_student(digits, digits_model, Student("vit"), multiple=8)
    with pytest.raises(CompressionError, match="no repeated blocks"):
        build_student(digits, digits_model.stem, Student(depth=0.5), multiple=8)


def test_the_operator_set_is_recorded_in_the_file(digits, digits_model, tmp_path):
    path = made(digits, digits_model, Policy(layers={"head": INT8}), tmp_path / "x.onnx").artifact.path

    versions = {item.domain: item.version for item in onnx.load(path).opset_import}
    assert versions[""] == ON_EIGHT.opset == 17
