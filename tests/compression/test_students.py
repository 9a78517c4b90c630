import copy
import itertools

import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compression import build_student, export_float, take_inventory
from compression.heads import head_groups, present_heads
from compression.passing import PassThrough
from compression.students import _evenly, drop_blocks, narrow
from spaces import CompressionError, Student
from tests.models import Concatenating, Mlp
from tests.networks_h import (
    IMAGES,
    TRANSFORMERS,
    DeepEncoder,
    Encoder,
    Fixed,
    TorchEncoder,
    of_family,
    untrained,
)

pytestmark = pytest.mark.usefixtures("digits")  # one thread, which is twenty times faster here


@pytest.fixture(scope="module", params=("fused", "tupled", *TRANSFORMERS))
def family(request):
    return of_family(request.param)


def dropped_from(model):
    return [name for name, module in model.named_modules() if isinstance(module, PassThrough)]


def student_of(model, inputs, student, multiple=1):
    return build_student(Fixed(model, inputs), model, student, multiple=multiple)


@pytest.mark.parametrize(
    ("blocks", "depth", "kept"),
    [
        (6, 0.5, [0, 2, 4]),
        (12, 0.5, [0, 2, 4, 6, 8, 10]),
        (12, 1 / 3, [0, 3, 6, 9]),
        (6, 1 / 3, [0, 3]),
        (6, 2 / 3, [0, 1, 3, 4]),
        (4, 0.01, [0]),
        (4, 1.0, [0, 1, 2, 3]),
    ],
)
def test_every_kth_block_of_an_encoder_stays(blocks, depth, kept):
    class Deep(Encoder):
        pass

    Deep.depth = blocks
    model = Deep().eval()

    drop_blocks(model, IMAGES, depth)

    gone = [f"layers.{index}" for index in range(blocks) if index not in kept]
    assert dropped_from(model) == gone


@settings(max_examples=200, deadline=None)
@given(count=st.integers(1, 60), share=st.floats(0, 1))
def test_blocks_that_go_are_as_many_as_asked_and_evenly_spaced(count, share):
    names = [str(index) for index in range(count)]
    asked = int(share * count)

    gone = sorted(int(name) for name in _evenly(names, asked))

    assert len(set(gone)) == asked
    gaps = [later - earlier for earlier, later in itertools.pairwise(gone)]
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_a_student_half_as_deep_keeps_its_paths_and_the_references_weights(family):
    model, inputs = family
    state = copy.deepcopy(model.state_dict())

    student = student_of(model, inputs, Student(depth=0.5))

    assert len(dropped_from(student)) == len(take_inventory(model, inputs).runs[0].blocks) // 2 >= 1
    for name, tensor in student.state_dict().items():
        assert torch.equal(tensor, state[name])
    assert model.state_dict().keys() == state.keys()
    assert not dropped_from(model)


def test_a_narrow_student_loses_the_same_share_of_heads_and_of_inner_channels(family):
    model, inputs = family

    student = student_of(model, inputs, Student(width=0.5))

    groups = take_inventory(model, inputs).groups
    inner = [group for group in groups if group.granularity == "channel" and group.units == 48]
    assert inner
    for group in inner:
        assert {student.get_submodule(name).weight.shape[0] for name in group.layers} == {24}
    for group in head_groups(model, inputs):
        assert present_heads(student, group) == 2
        assert student.get_submodule(group.output).weight.shape == (32, 16)
    assert student.state_dict().keys() == model.state_dict().keys()


def test_a_small_student_exports_and_computes_the_same(family, tmp_path):
    model, inputs = family
    student = student_of(model, inputs, Student(depth=0.5, width=0.5))

    export_float(student, Fixed(student, inputs), tmp_path / "model.onnx")

    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    feed = {item.name: value.numpy() for item, value in zip(session.get_inputs(), inputs, strict=True)}
    with torch.no_grad():
        expected = student(*inputs)
    assert torch.allclose(torch.from_numpy(session.run(None, feed)[0]), expected, atol=1e-4, rtol=1e-4)
    assert (tmp_path / "model.onnx").stat().st_size > 0
    whole = sum(parameter.numel() for parameter in model.parameters())
    assert sum(parameter.numel() for parameter in student.parameters()) < 0.8 * whole


def test_full_depth_and_width_change_nothing_to_the_bit(family):
    model, inputs = family

    for student in (Student(), None):
        made = student_of(model, inputs, student)
        assert made is not model
        assert all(
            torch.equal(tensor, model.state_dict()[name]) for name, tensor in made.state_dict().items()
        )


def test_the_hidden_size_stays_and_channels_round_up_to_the_multiple():
    model = untrained(Encoder)

    narrow(model, IMAGES, 0.6, multiple=16)

    assert model.embed.weight.shape == (32, 8)
    assert model.layers[0].up.weight.shape == (32, 32)
    assert model.layers[0].down.weight.shape == (32, 32)
    assert model.layers[0].attention.query.weight.shape == (24, 32)


def test_heads_and_channels_with_the_largest_norms_stay():
    model = untrained(Encoder)
    with torch.no_grad():
        for head in (1, 2):
            model.layers[0].attention.query.weight[head * 8 : head * 8 + 8] *= 10
        model.layers[0].up.weight[7:31] *= 10
    expected = model.layers[0].attention.value.weight[8:24].clone(), model.layers[0].up.weight[7:31].clone()

    narrow(model, IMAGES, 0.5, multiple=1)

    assert torch.equal(model.layers[0].attention.value.weight, expected[0])
    assert torch.equal(model.layers[0].up.weight, expected[1])


def test_heads_that_cannot_go_stay_while_channels_go():
    model = untrained(TorchEncoder)

    narrow(model, IMAGES, 0.5, multiple=1)

    assert model.layers[0].attention.mha.in_proj_weight.shape == (96, 32)
    assert model.layers[0].up.weight.shape == (24, 32)
    assert model(*IMAGES).shape == (2, 10)


def test_depth_and_width_together_narrow_only_what_stays():
    model = untrained(DeepEncoder)

    student = student_of(model, IMAGES, Student(depth=0.5, width=0.5))

    assert dropped_from(student) == ["layers.1", "layers.3"]
    assert student.layers[2].up.weight.shape == (24, 32)
    assert student.layers[2].attention.num_heads == 2


@pytest.mark.parametrize("make", [Concatenating, Mlp])
def test_a_model_without_repeated_blocks_cannot_lose_depth(make):
    with pytest.raises(CompressionError, match=r"depth 0\.5: the model has no repeated blocks"):
        drop_blocks(make().eval(), IMAGES, 0.5)
