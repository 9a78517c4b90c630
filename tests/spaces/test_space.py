import itertools
import pickle

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from spaces import (
    STUDENT_AXIS,
    ActivationFormat,
    Bits,
    BlockRun,
    Capabilities,
    InvalidSpace,
    Kernel,
    LayerInfo,
    LayerInventory,
    LayerPolicy,
    LayerRule,
    Policy,
    Prune,
    PruneGroup,
    Recovery,
    SearchSpace,
    SpaceRequest,
    Student,
    WeightFormat,
    kept_channels,
)
from tests.strategies import PROPERTY, capabilities, inventories, search_spaces, space_requests

INT8 = Bits(8, 8, "static")
CPU = Capabilities((Kernel("conv", 8, 8, "static", "int8"), Kernel("linear", 8, 8, "static", "int8")), 8)
ONCE = (None,)


def layer(name, op="conv", channels=32):
    return LayerInfo(name, op, (channels, 3), 30, 30)


MODEL = LayerInventory(
    (
        layer("stem"),
        layer("block.a"),
        layer("block.b"),
        layer("dw", "depthwise-conv"),
        layer("fc", "linear", 10),
    ),
    (
        PruneGroup("stem", ("stem", "block.b"), 32),
        PruneGroup("block.a", ("block.a",), 32),
        PruneGroup("fc", ("fc",), 10, "its channels are the model's output"),
    ),
)


def build(model=MODEL, target=CPU, **choices):
    return SearchSpace.build(SpaceRequest(**choices), {None: model}, target)


def faults_of(call, *args, **choices):
    with pytest.raises(InvalidSpace) as caught:
        call(*args, **choices)
    return [(fault.pointer, fault.detail) for fault in caught.value.faults]


def points_of(space):
    """Every point, by brute force."""
    for index, student in enumerate(space.students):
        axes = student.axes
        for choice in itertools.product(*(range(len(axis.choices)) for axis in axes)):
            yield {STUDENT_AXIS: index} | {axis.name: place for axis, place in zip(axes, choice, strict=True)}


def policies_of(request, models, target):
    """Every distinct policy of a space without exceptions, from the definition alone."""
    found = set()
    for student, model in models.items():
        parts = []
        for info in model.layers:
            led = [
                group
                for group in model.groups
                if group.leader == info.name
                and not group.fixed_because
                and group.granularity in request.granularities
            ]
            kept = {}
            for ratio in sorted(request.ratios, reverse=True) if led else [0.0]:
                multiple = target.channel_multiple if led and led[0].granularity == "channel" else 1
                left = kept_channels(led[0].units, ratio, multiple) if led else 0
                kept[left] = (
                    None
                    if not led or left == led[0].units
                    else Prune(ratio, led[0].granularity, request.criterion)
                )
            formats = {
                (None, None) if bits.is_float else bits.formats
                for bits in request.bits
                if bits.is_float or target.kernel_for(info.op, *bits.formats)
            } or {(None, None)}
            parts.append(
                [
                    (info.name, LayerPolicy(prune, weight, activation))
                    for prune in kept.values()
                    for weight, activation in formats
                ]
            )
        for layers in itertools.product(*parts):
            found |= {Policy(student, dict(layers), recovery) for recovery in request.recovery}
    return found


@PROPERTY
@given(search_spaces(), st.randoms())
def test_a_point_names_one_policy_and_the_policy_its_point(space, random):
    for _ in range(5):
        point = space.decide(lambda axis: random.randrange(len(axis.choices)))

        assert space.point(space.policy(point)) == point


@PROPERTY
@given(search_spaces())
def test_a_space_is_as_large_as_its_distinct_policies(space):
    assume(space.size <= 400)
    policies = [space.policy(point) for point in points_of(space)]

    assert len(set(policies)) == len(policies) == space.size


@PROPERTY
@given(space_requests(None), inventories(max_layers=2), inventories(max_layers=1), capabilities)
def test_a_space_holds_what_its_definition_says(request, model, smaller, target):
    models = {None: model, Student(depth=0.5): smaller}
    expected = policies_of(request, models, target)
    assume(1 < len(expected) <= 400)

    space = SearchSpace.build(request, models, target)

    assert {space.policy(point) for point in points_of(space)} == expected


@PROPERTY
@given(search_spaces())
def test_choices_go_from_mild_to_severe(space):
    for student in space.students:
        for axis in student.prune.values():
            assert list(axis.choices) == sorted(set(axis.choices))
        for axis in student.bits.values():
            assert [bits.severity for bits in axis.choices] == sorted(
                {bits.severity for bits in axis.choices}
            )


@PROPERTY
@given(search_spaces())
def test_axes_have_names_of_their_own_and_a_space_can_be_pickled(space):
    names = [STUDENT_AXIS, *(axis.name for student in space.students for axis in student.axes)]

    assert len(set(names)) == len(names)
    assert pickle.loads(pickle.dumps(space)) == space


def test_the_axes_of_a_plain_model():
    space = build(ratios=(0.0, 0.5), recovery=ONCE)
    (student,) = space.students

    assert {leader: axis.choices for leader, axis in student.prune.items()} == {
        "stem": (0.0, 0.5),
        "block.a": (0.0, 0.5),
    }
    assert {name: axis.choices for name, axis in student.bits.items()} == dict.fromkeys(
        ("stem", "block.a", "block.b", "fc"), (Bits(), INT8)
    )
    assert space.size == 2**2 * 2**4
    assert space.student_axis.choices == (None,)


def test_the_policy_at_a_point():
    space = build(ratios=(0.0, 0.5), criterion="l2", recovery=(None, Recovery(1.0)))
    point = dict.fromkeys((axis.name for axis in space.students[0].axes), 0) | {STUDENT_AXIS: 0}
    point |= {"0/prune:stem": 1, "0/bits:stem": 1, "0/bits:fc": 1, "0/recovery": 1}

    eight = LayerPolicy(None, WeightFormat(8), ActivationFormat(8, "static"))
    assert space.policy(point) == Policy(
        None,
        {"stem": LayerPolicy(Prune(0.5, criterion="l2"), eight.weight, eight.activation), "fc": eight},
        Recovery(1.0),
    )


def test_ratios_that_rounding_undoes_or_makes_equal_are_absent():
    space = build(ratios=(0.0, 0.1, 0.2, 0.3, 0.35, 0.5, 0.9), bits=(Bits(),))

    # of 32 channels in eights: 0.1 and 0.2 keep all, 0.3 and 0.35 keep 24, 0.5 keeps 16, 0.9 keeps 8
    assert space.students[0].prune["stem"].choices == (0.0, 0.3, 0.5, 0.9)


def test_a_ratio_that_leaves_no_choice_is_still_applied():
    space = build(ratios=(0.5,))

    assert space.students[0].prune["stem"].choices == (0.5,)
    assert all(space.policy(point).layers["stem"].prune == Prune(0.5) for point in points_of(space))


def test_a_choice_that_is_there_twice_counts_once_and_order_is_the_spaces():
    once = build(ratios=(0.0, 0.5), bits=(Bits(), INT8), recovery=(None, Recovery()))
    twice = build(ratios=(0.5, 0.0, 0.5), bits=(INT8, Bits(), INT8), recovery=(None, Recovery(), None))

    assert twice == once


def test_layers_without_a_kernel_stay_in_floating_point():
    space = build(bits=(INT8,))

    assert "dw" not in space.students[0].bits
    assert space.students[0].bits["stem"].choices == (INT8,)


def test_kept_layers_have_no_axes():
    (student,) = build(layers={"stem": LayerRule(keep=True)}).students

    assert "stem" not in student.prune
    assert "stem" not in student.bits
    assert "block.b" in student.bits


def test_keeping_a_coupled_layer_keeps_the_channels_of_its_group():
    (student,) = build(layers={"block.b": LayerRule(keep=True)}).students

    assert list(student.prune) == ["block.a"]
    assert "stem" in student.bits


def test_an_exception_replaces_the_general_choice():
    (student,) = build(layers={"block.a": LayerRule(ratios=(0.75,), bits=(INT8,))}).students

    assert student.prune["block.a"].choices == (0.75,)
    assert student.bits["block.a"].choices == (INT8,)
    assert student.prune["stem"].choices == (0.0, 0.25, 0.5, 0.75)


def test_an_exception_for_a_coupled_layer_holds_for_its_group():
    (student,) = build(layers={"block.b": LayerRule(ratios=(0.0, 0.25))}).students

    assert student.prune["stem"].choices == (0.0, 0.25)


def test_coupled_layers_take_what_their_exceptions_share():
    rules = {"stem": LayerRule(ratios=(0.25, 0.5, 0.0)), "block.b": LayerRule(ratios=(0.5, 0.75, 0.0))}

    (student,) = build(layers=rules).students

    assert student.prune["stem"].choices == (0.0, 0.5)


def test_coupled_layers_whose_exceptions_share_nothing_are_a_contradiction():
    rules = {"stem": LayerRule(ratios=(0.25,)), "*.b": LayerRule(ratios=(0.75,))}

    ((pointer, detail),) = faults_of(build, layers=rules)

    assert pointer == "/space/layers/*.b/prune/ratios"
    assert detail == "'block.b' is coupled to 'stem', and their exceptions share no ratio"


def test_a_glob_that_matches_no_layer_is_refused():
    rules = {"stem": LayerRule(keep=True), "a/~b": LayerRule(keep=True), "Stem": LayerRule(keep=True)}

    found = faults_of(build, layers=rules)

    assert [pointer for pointer, _ in found] == ["/space/layers/a~1~0b", "/space/layers/Stem"]
    assert found[0][1].endswith("its layers are: stem, block.a, block.b, dw, fc")


def test_a_glob_that_an_earlier_one_hides_is_refused():
    rules = {"*": LayerRule(ratios=(0.0, 0.5)), "fc": LayerRule(keep=True)}

    ((pointer, detail),) = faults_of(build, layers=rules)

    assert pointer == "/space/layers/fc"
    assert "never reached" in detail


def test_an_exception_that_asks_for_bits_no_matching_layer_runs_is_refused():
    ((pointer, detail),) = faults_of(build, layers={"dw": LayerRule(bits=(INT8,))})

    assert pointer == "/space/layers/dw/bits"
    assert "depthwise-conv" in detail
    build(layers={"d*": LayerRule(bits=(INT8, Bits()))})
    build(layers={"*": LayerRule(bits=(INT8,), ratios=(0.0, 0.5))})


def test_an_exception_that_must_prune_what_cannot_be_pruned_is_refused():
    ((pointer, detail),) = faults_of(build, layers={"fc": LayerRule(ratios=(0.5,))})

    assert pointer == "/space/layers/fc/prune/ratios"
    assert "its channels are the model's output" in detail
    ((_, detail),) = faults_of(build, layers={"dw": LayerRule(ratios=(0.5,))})
    assert "no channel group" in detail
    build(layers={"fc": LayerRule(ratios=(0.0, 0.5))})
    build(layers={"*": LayerRule(ratios=(0.5,))})


def test_a_glob_may_match_in_one_student_alone():
    models = {None: MODEL, Student("tiny"): LayerInventory((layer("other"),))}
    request = SpaceRequest(layers={"other": LayerRule(keep=True)})

    space = SearchSpace.build(request, models, CPU)

    assert space.student_axis.choices == (None, Student("tiny"))
    assert space.students[1].size == 1


@pytest.mark.parametrize("models", [{}, {None: MODEL}])
def test_a_space_in_which_one_policy_remains_is_refused(models):
    request = SpaceRequest(recovery=ONCE, ratios=(0.0, 0.05))

    ((pointer, detail),) = faults_of(SearchSpace.build, request, models, Capabilities((), 8))

    assert pointer == "/space"
    assert "nothing to search" in detail


@pytest.mark.parametrize(
    "change",
    [
        {STUDENT_AXIS: 1},
        {STUDENT_AXIS: -1},
        {STUDENT_AXIS: None},
        {"0/prune:stem": 4},
        {"0/prune:stem": -1},
        {"0/bits:fc": None},
        {"0/recovery": 1},
    ],
)
def test_a_point_outside_the_space_is_refused(change):
    space = build()
    point = dict(space.decide(lambda axis: 0)) | change

    ((_, detail),) = faults_of(space.policy, point)

    assert next(iter(change)) in detail


@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        Policy(Student(), {}, Recovery(2.0)),
        Policy(None, {"stem": LayerPolicy(Prune(0.4))}, Recovery(2.0)),
        Policy(None, {"stem": LayerPolicy(Prune(0.5, criterion="l2"))}, Recovery(2.0)),
        Policy(None, {"stem": LayerPolicy(weight=WeightFormat(8))}, Recovery(2.0)),
        Policy(None, {"block.b": LayerPolicy(Prune(0.5))}, Recovery(2.0)),
        Policy(None, {"elsewhere": LayerPolicy(Prune(0.5))}, Recovery(2.0)),
        Policy(
            None,
            {"stem": LayerPolicy(weight=WeightFormat(8, "tensor"), activation=ActivationFormat(8, "static"))},
            Recovery(2.0),
        ),
    ],
)
def test_a_policy_outside_the_space_has_no_point(policy):
    faults_of(build().point, policy)


def test_decisions_are_asked_in_order_and_only_where_they_arise():
    models = {None: MODEL, Student("tiny"): LayerInventory((layer("other"),))}
    space = SearchSpace.build(SpaceRequest(), models, CPU)
    asked = []

    def choose(axis):
        asked.append(axis.name)
        return 1 if axis.name == STUDENT_AXIS else 0

    space.decide(choose)

    assert asked == [STUDENT_AXIS, "1/bits:other", "1/recovery"]


def test_blocks_are_searched_where_they_are_asked_for_and_as_many_as_can_go():
    run = BlockRun("layers", ("layers.0", "layers.1", "layers.2", "layers.3"), ("layers.1", "layers.2"))
    model = LayerInventory(MODEL.layers, MODEL.groups, (run,))

    asked = build(model, ratios=(0.0, 0.3, 0.5, 0.75), granularities=("layer",)).students[0]

    assert {name: axis.choices for name, axis in asked.prune.items()} == {"layers": (0.0, 0.3, 0.5)}
    assert "layers" not in build(model).students[0].prune
    assert build(model, granularities=("channel", "layer")).students[0].granularity["layers"] == "layer"


def test_a_policy_says_what_a_ratio_removes():
    heads = PruneGroup("stem", ("stem", "block.b"), 4, granularity="head")
    space = build(LayerInventory(MODEL.layers, (heads,)), ratios=(0.0, 0.5), criterion="taylor")

    pruned = {
        space.policy(point).layers["stem"].prune
        for point in points_of(space)
        if "stem" in space.policy(point).layers
    }

    assert Prune(0.5, "head", "taylor") in pruned


def test_models_that_are_not_convolutional_get_dynamic_ranges_integer_tables_and_adamw():
    kernels = (
        Kernel("linear", 8, 8, "static", "int8"),
        Kernel("linear", 8, 8, "dynamic", "int8-dynamic"),
        Kernel("embedding", 8, 32, "none", "int8-weight"),
    )
    encoder = LayerInventory((layer("table", "embedding"), layer("fc", "linear")))

    student = build(encoder, Capabilities(kernels, 8)).students[0]

    assert student.bits["table"].choices == (Bits(), Bits(8, 32))
    assert student.bits["fc"].choices == (Bits(), Bits(8, 8, "dynamic"), INT8)
    assert student.recovery.choices == (Recovery(epochs=2.0, optimizer="adamw"),)
    assert build().students[0].recovery.choices == (Recovery(epochs=2.0),)
