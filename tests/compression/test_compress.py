import onnx
import pytest
import torch
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from compression import Deployment, build_student, compress, export_float, recover, shape_model, soft_loss
from spaces import (
    ActivationFormat,
    CompressionError,
    Distill,
    InvalidPolicy,
    LayerPolicy,
    Policy,
    Prune,
    Recovery,
    Student,
    WeightFormat,
    WorkloadError,
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


def test_recovery_brings_a_half_pruned_model_back(digits, digits_model):
    policy = Policy(layers=HALF)
    broken = shape_model(digits, digits_model, policy, deployment=ON_EIGHT, seed=0)
    taught = shape_model(digits, digits_model, policy, deployment=ON_EIGHT, seed=0)
    shares = []

    recover(taught, digits, Recovery(epochs=2.0), digits_model, seed=0, report=shares.append)

    assert accuracy(digits, taught) > 0.95
    assert accuracy(digits, broken) < 0.5
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert not taught.training


def test_recovery_on_labels_alone_works_too(digits, digits_model):
    model = shape_model(digits, digits_model, Policy(layers=HALF), deployment=ON_EIGHT, seed=0)

    recover(model, digits, Recovery(epochs=2.0, distill=None), digits_model, seed=0)

    assert accuracy(digits, model) > 0.9


def test_recovery_does_not_spoil_a_model_that_needs_none(digits, digits_model):
    model = shape_model(digits, digits_model, Policy(), deployment=ON_EIGHT, seed=0)

    recover(model, digits, Recovery(epochs=1.0), digits_model, seed=0)

    assert accuracy(digits, model) >= accuracy(digits, digits_model) - 0.01


def test_the_teacher_is_not_changed_by_teaching(digits, digits_model):
    before = {name: tensor.clone() for name, tensor in digits_model.state_dict().items()}
    model = shape_model(digits, digits_model, Policy(layers=HALF), deployment=ON_EIGHT, seed=0)

    recover(model, digits, Recovery(epochs=0.1), digits_model, seed=0)

    assert all(torch.equal(before[name], tensor) for name, tensor in digits_model.state_dict().items())


def test_the_soft_loss_is_the_formula():
    student, teacher = torch.randn(7, 5), torch.randn(7, 5)
    temperature = 3.0
    p, q = F.softmax(teacher / temperature, 1), F.softmax(student / temperature, 1)
    expected = (p * (p.log() - q.log())).sum(1).mean() * temperature**2

    assert torch.allclose(soft_loss(student, teacher, temperature), expected, atol=1e-6)
    assert soft_loss(teacher, teacher, temperature).abs() < 1e-6


@pytest.mark.parametrize(
    "recovery", [Recovery(qat=True), Recovery(distill=Distill(features="hidden"))], ids=["qat", "features"]
)
def test_recovery_that_cannot_be_applied_is_refused(digits, digits_model, recovery):
    with pytest.raises(CompressionError, match="cannot be applied"):
        recover(digits_model, digits, recovery, digits_model, seed=0)


def test_a_loss_that_is_not_finite_stops_the_recovery(digits, digits_model):
    class Broken(type(digits)):
        def loss(self, outputs, targets):
            return outputs.sum() * float("nan")

    model = shape_model(digits, digits_model, Policy(), deployment=ON_EIGHT, seed=0)

    with pytest.raises(WorkloadError, match="training loss became nan at step 0"):
        recover(model, Broken(), Recovery(distill=None), digits_model, seed=0)


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


@pytest.mark.parametrize(
    "layer",
    [
        LayerPolicy(weight=WeightFormat(4), activation=ActivationFormat(8, "static")),
        LayerPolicy(weight=WeightFormat(8)),
        LayerPolicy(weight=WeightFormat(8, "tensor"), activation=ActivationFormat(8, "static")),
        LayerPolicy(weight=WeightFormat(8, symmetric=False), activation=ActivationFormat(8, "static")),
    ],
    ids=["4 bits", "weights alone", "one scale", "affine"],
)
def test_formats_that_cannot_be_deployed_are_refused_and_not_approximated(
    digits, digits_model, tmp_path, layer
):
    with pytest.raises(InvalidPolicy, match="can be deployed") as caught:
        made(digits, digits_model, Policy(layers={"head": layer}), tmp_path / "x.onnx")

    assert caught.value.faults[0].pointer.startswith("/layers/head")


def test_the_operator_set_is_recorded_in_the_file(digits, digits_model, tmp_path):
    path = made(digits, digits_model, Policy(layers={"head": INT8}), tmp_path / "x.onnx").artifact.path

    versions = {item.domain: item.version for item in onnx.load(path).opset_import}
    assert versions[""] == ON_EIGHT.opset == 17
