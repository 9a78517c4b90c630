import pytest

from spaces import (
    DEFAULT_STUDENTS,
    HINTS,
    Bits,
    Capabilities,
    InvalidSpace,
    Kernel,
    LayerInfo,
    LayerInventory,
    PruneGroup,
    SearchSpace,
    SpaceRequest,
    defaults_for,
    explain,
    offered_bits,
)

INT8 = Kernel("*", 8, 8, "static", "int8")
STORED = Kernel("*", 8, 32, "none", "int8-weight")
HALF = Kernel("*", 16, 16, "none", "float16")
CPU = Capabilities((INT8, STORED), 8)
PLAIN = Capabilities((STORED,), 8)
GPU = Capabilities((INT8, HALF), 8, ("2:4",), "gpu")

INVENTORY = LayerInventory(
    (
        LayerInfo("stem", "conv", (32, 1, 3, 3), 1000, 320),
        LayerInfo("body", "conv", (64, 32, 3, 3), 9000, 18496),
        LayerInfo("head", "linear", (10, 64), 640, 650),
    ),
    (
        PruneGroup("stem", ("stem",), 32),
        PruneGroup("body", ("body",), 64),
        PruneGroup("head", ("head",), 10, "its channels are the model's output"),
    ),
)


def axes_of(request, capabilities):
    space = SearchSpace.build(request, {None: INVENTORY}, capabilities).students[0]
    bits = {name: set(axis.choices) for name, axis in space.bits.items()}
    return bits, {name: axis.choices for name, axis in space.prune.items()}, dict(space.granularity)


def test_a_target_without_arithmetic_of_low_precision_is_offered_more_students():
    assert set(defaults_for(CPU).students) == set(DEFAULT_STUDENTS)
    assert set(defaults_for(PLAIN).students) > set(DEFAULT_STUDENTS)
    assert any("only a smaller model is faster" in reason for reason in defaults_for(PLAIN).reasons)
    assert not any("only a smaller model" in reason for reason in defaults_for(CPU).reasons)


def test_a_gpu_is_offered_blocks_halves_and_the_zeros_that_it_skips():
    defaults = defaults_for(GPU)

    assert set(defaults.granularities) == {"channel", "head", "layer", "2:4"}
    assert Bits(16, 16) in defaults.bits
    assert set(defaults_for(CPU).granularities) == {"channel", "head"}
    assert Bits(16, 16) not in defaults_for(CPU).bits


def test_a_pattern_stands_where_no_channels_go_and_only_where_it_fits_the_rows():
    _, ratios, granularity = axes_of(SpaceRequest(), GPU)

    assert granularity == {"stem": "channel", "body": "channel", "head": "2:4"}
    assert ratios["head"] == (0.0, 0.5)
    _, ratios, granularity = axes_of(SpaceRequest(granularities=("2:4",)), GPU)
    assert granularity == {"body": "2:4", "head": "2:4"}  # the stem's rows have nine weights


def test_single_zeros_are_searched_where_the_target_skips_them():
    skipping = Capabilities((INT8,), 8, ("weight",))
    request = SpaceRequest(ratios=(0.5, 0.9), granularities=("weight",))

    request.check(skipping, "board")
    _, ratios, granularity = axes_of(request, skipping)

    assert set(granularity.values()) == {"weight"}
    assert ratios["stem"] == (0.5, 0.9)


@pytest.mark.parametrize("granularity", ["weight", "2:4"])
def test_zeros_that_the_target_computes_are_refused_where_they_were_asked_for(granularity):
    request = SpaceRequest(granularities=("channel", granularity))

    with pytest.raises(
        InvalidSpace, match=r"'board' computes zeros of .* it skips no zeros at all"
    ) as caught:
        request.check(CPU, "board")

    assert [fault.pointer for fault in caught.value.faults] == ["/space/prune/granularity/1"]


def test_hints_narrow_what_is_left_to_the_default():
    careful, quick, portable = (defaults_for(GPU, hint) for hint in HINTS)

    assert (careful.students, max(careful.ratios)) == ((None,), 0.25)
    assert "layer" in quick.granularities
    assert all(bits.is_float or bits.weight >= bits.activation for bits in quick.encoder_bits)
    assert Bits(8, 32) in defaults_for(CPU).encoder_bits
    assert Bits(8, 32) not in quick.encoder_bits
    assert set(portable.granularities) == {"channel", "head"}
    assert set(portable.bits) == {Bits(), Bits(8, 8, "static")}
    for hint in HINTS:
        assert any(reason.startswith(f"{hint}: ") for reason in defaults_for(GPU, hint).reasons)


def test_what_is_asked_for_is_not_narrowed():
    request = SpaceRequest(
        ratios=(0.0, 0.75),
        granularities=("head", "channel"),
        bits=(Bits(), Bits(16, 16)),
        hint="accuracy-critical",
    )

    bits, ratios, _ = axes_of(request, GPU)

    assert ratios["body"] == (0.0, 0.75)
    assert bits["body"] == {Bits(), Bits(16, 16)}
    assert offered_bits(request, GPU) == {Bits(), Bits(16, 16)}


def test_the_defaults_of_a_general_cpu_are_those_without_a_target():
    bits, ratios, _ = axes_of(SpaceRequest(), CPU)

    assert bits["body"] == {Bits(), Bits(8, 8, "static")}
    assert ratios["body"] == (0.0, 0.25, 0.5, 0.75)


def test_each_layer_is_explained_with_what_may_be_searched_and_why_the_rest_may_not():
    layers, reasons = explain(INVENTORY, CPU)
    stem, body, head = layers

    assert [layer.layer for layer in layers] == ["stem", "body", "head"]
    assert body.bits == ("float32", "w8a8 static")
    assert body.also == ("w8a32",)
    assert body.prune == ("channel", (0.0, 0.25, 0.5, 0.75))
    assert head.prune is None
    assert head.refused["channels"] == "its channels are the model's output"
    assert stem.refused["below 8 bits"] == "no kernel for conv computes in fewer bits than 8"
    assert stem.refused["unstructured zeros"] == "the target computes zeros like any weight"
    assert reasons == defaults_for(CPU).reasons


def test_a_layer_without_kernels_and_a_pattern_are_explained_too():
    only_conv = Capabilities((Kernel("conv", 8, 8, "static", "int8"),), 8, ("2:4",), "gpu")

    *_, head = explain(INVENTORY, only_conv)[0]

    assert head.refused["fewer bits"] == "the target has no kernel of low precision for linear"
    assert head.refused["unstructured zeros"].endswith("it skips them in the pattern 2:4 alone")
    assert (
        explain(INVENTORY, PLAIN)[0][0].refused["integer arithmetic"].startswith("the target stores weights")
    )


def test_rounding_that_undoes_every_ratio_is_said():
    *_, stem = explain(
        LayerInventory((LayerInfo("a", "conv", (8, 8, 3, 3), 9, 9),), (PruneGroup("a", ("a",), 8),)), CPU
    )[0]

    assert stem.refused["channels"] == "rounding 8 to multiples of 8 undoes every ratio"


def test_an_unknown_hint_is_refused_with_the_known_ones():
    with pytest.raises(InvalidSpace, match="'hurry' is not one of: accuracy-critical, real-time"):
        explain(INVENTORY, CPU, "hurry")
