"""Hypothesis strategies for the values that cross every layer; each draws valid ones unless it says otherwise.

`documents` draws any JSON, and `damaged` a valid document with one part changed: what they draw may be wrong.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st

from search.profile import PROFILES
from search.resources import Resources
from search.samplers import SAMPLERS
from search.spec import CONSTRAINABLE, MAX_TRIALS, Bound, Budget, JobSpec
from spaces import (
    OBJECTIVES,
    ActivationFormat,
    Bits,
    Capabilities,
    Distill,
    InvalidSpace,
    InvalidValue,
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
    Sparsity,
    Student,
    WeightFormat,
    escape,
)

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# A loaded machine is no reason to fail: time limits are for the slowest tests' report, not for a property.
PROPERTY = settings(deadline=None, max_examples=30)

OPS = ("conv", "depthwise-conv", "linear")

module_paths = st.text("abλ0._/~", min_size=1, max_size=6)
ratios = st.floats(0, 1, exclude_max=True)
shares = st.floats(0, 1, exclude_min=True)
round_ratios = st.sampled_from((0.0, 0.1, 0.25, 0.3, 0.5, 0.7, 0.75, 0.9))

criteria = st.sampled_from(("l1", "l2", "gradient", "taylor", "bn_scale", "random"))
prunes = (
    st.builds(Prune, ratios, st.sampled_from(("weight", "channel", "head", "layer")), criteria)
    | st.builds(Prune, st.sampled_from((0.0, 0.5)), st.sampled_from(("2:4", "8:16")), criteria)
    | st.builds(Prune, granularity=st.just("weight"), threshold=st.floats(0, 10, exclude_min=True))
)
weight_formats = st.builds(
    WeightFormat,
    st.sampled_from((2, 4, 8, 16, 32)),
    st.sampled_from(("tensor", "channel")),
    symmetric=st.booleans(),
) | st.builds(WeightFormat, st.integers(2, 8), st.just("group"), st.integers(1, 128), st.booleans())
activation_formats = (
    st.builds(ActivationFormat, st.integers(2, 8), st.just("dynamic"))
    | st.builds(
        ActivationFormat,
        st.integers(2, 8),
        st.just("static"),
        st.sampled_from(("minmax", "percentile", "entropy", "mse")),
    )
    | st.builds(ActivationFormat, st.sampled_from((16, 32)))
)
layer_policies = st.builds(
    LayerPolicy,
    st.none() | prunes,
    st.none() | weight_formats,
    st.none() | activation_formats,
)
students = st.builds(Student, st.sampled_from(("self", "tiny")), shares, shares)
distills = st.builds(
    Distill,
    st.floats(0, 100, exclude_min=True),
    st.floats(0, 1),
) | st.builds(
    Distill,
    features=st.sampled_from(("hidden", "attention")),
    feature_weight=st.floats(0, 10, exclude_min=True),
)
epochs = st.floats(0, 1000)
recoveries = (
    st.builds(Recovery, epochs, st.booleans(), st.none() | distills)
    | st.builds(
        Recovery,
        epochs,
        st.just(True),
        qat_share=shares,
        quantizer=st.sampled_from(("ste", "lsq")),
        equalization=st.booleans(),
        bias_correction=st.booleans(),
    )
    | st.builds(
        Recovery,
        optimizer=st.sampled_from(("sgd", "adamw")),
        learning_rate=st.none() | st.floats(0, 1, exclude_min=True),
        patience=st.none() | st.floats(0, 10, exclude_min=True),
        prune_steps=st.integers(1, 100),
        sparsity=st.none()
        | st.builds(
            Sparsity,
            st.sampled_from(("weight", "bn_scale")),
            st.floats(0, 1, exclude_min=True),
            st.floats(0, 10, exclude_min=True),
        ),
        bn_reestimation=st.booleans(),
    )
)
policies = st.builds(
    Policy,
    st.none() | students,
    st.dictionaries(module_paths, layer_policies, max_size=4),
    st.none() | recoveries,
)

bits = st.builds(
    Bits, st.sampled_from((4, 8, 16, 32)), st.just(8), st.sampled_from(("dynamic", "static"))
) | st.builds(Bits, st.sampled_from((4, 8, 16, 32)), st.sampled_from((16, 32)))
kernels = st.builds(
    lambda op, choice: Kernel(op, choice.weight, choice.activation, choice.mode, f"int{choice.weight}"),
    st.sampled_from(("*", *OPS)),
    bits.filter(lambda choice: not choice.is_float),
)
capabilities = st.builds(
    Capabilities, st.lists(kernels, max_size=3).map(tuple), st.sampled_from((1, 2, 4, 8))
)


def _choices(items: st.SearchStrategy[Any], max_size: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, min_size=1, max_size=max_size).map(tuple)


layer_rules = st.just(LayerRule(keep=True)) | st.builds(
    LayerRule, ratios=st.none() | _choices(round_ratios), bits=st.none() | _choices(bits)
)


@st.composite
def space_requests(draw: st.DrawFn, globs: st.SearchStrategy[str] | None = module_paths) -> SpaceRequest:
    """Requests that offer more than one policy; exceptions are made for `globs`, where there are any."""
    first = draw(round_ratios)
    second = draw(round_ratios.filter(lambda ratio: ratio != first))
    return SpaceRequest(
        draw(st.lists(st.none() | students, max_size=2).map(tuple)),
        (first, second, *draw(st.lists(round_ratios, max_size=2))),
        draw(criteria),
        draw(st.lists(st.sampled_from(("channel", "head", "layer")), min_size=1, unique=True).map(tuple)),
        draw(_choices(bits)),
        draw(_choices(st.none() | recoveries, max_size=2)),
        {} if globs is None else draw(st.dictionaries(globs, layer_rules, max_size=2)),
    )


@st.composite
def inventories(draw: st.DrawFn, max_layers: int = 4) -> LayerInventory:
    """Models of a few layers; every second one or so is in a channel group, alone or with the next."""
    names = draw(st.lists(module_paths, min_size=1, max_size=max_layers, unique=True))
    channels = draw(st.integers(1, 40))
    layers = tuple(LayerInfo(name, draw(st.sampled_from(OPS)), (channels, 3), 30, 30) for name in names)
    groups, left = [], list(names)
    while left:
        taken = draw(st.integers(1, 2))
        members, left = tuple(left[:taken]), left[taken:]
        if draw(st.booleans()):
            fixed = draw(st.sampled_from((None, None, "its channels are the model's output")))
            unit = draw(st.sampled_from(("channel", "channel", "head")))
            groups.append(PruneGroup(members[0], members, channels, fixed, unit))
    return LayerInventory(layers, tuple(groups))


@st.composite
def search_spaces(draw: st.DrawFn) -> SearchSpace:
    """Spaces of one or two students, with exceptions that name layers which exist."""
    starts = draw(st.lists(st.none() | students, min_size=1, max_size=2, unique=True))
    models = {start: draw(inventories(max_layers=3)) for start in starts}
    names = [name for model in models.values() for name in model.by_name]
    request = draw(space_requests(st.sampled_from(names)))
    try:
        return SearchSpace.build(request, models, draw(capabilities))
    except InvalidSpace:
        return SearchSpace.build(SpaceRequest(recovery=(None, Recovery())), models, draw(capabilities))


bounds = st.builds(lambda low, width: Bound(low, low + width), st.floats(-1e6, 1e6), st.floats(0, 1e6)) | (
    st.builds(Bound, high=st.floats(-1e6, 1e6)) | st.builds(Bound, low=st.floats(-1e6, 1e6))
)
parallel = st.sampled_from(
    (
        {},
        {"workers": 4},
        {"runner": "ray", "workers": 1024, "resources": Resources(2, 0.5)},
        {"runner": "ray", "resources": Resources(gpu=2.0)},
    )
)

job_specs = st.builds(
    lambda *args, parallel, **more: JobSpec(*args, **parallel, **more),
    st.text("abc-", min_size=1, max_size=8),
    st.sampled_from(("local-cpu", "board")),
    st.lists(st.sampled_from(OBJECTIVES), min_size=1, unique=True).map(tuple),
    st.dictionaries(st.sampled_from(CONSTRAINABLE), bounds, max_size=2),
    space_requests(),
    st.sampled_from(SAMPLERS),
    st.builds(Budget, st.integers(1, MAX_TRIALS), st.none() | st.floats(1, 1e6)),
    seed=st.integers(0, 2**31 - 1),
    profile=st.sampled_from(PROFILES),
    parallel=parallel,
)

_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(("\ud800", "\0", "9" * 5000 + ":2", "2:4", "٢:٤", "channel", "group", "keep", ""))
    | st.sampled_from((-1, 0, 1, 2, 8, 9, 16, 32, 1.0, -0.0, 0.5, 8.0, 8.5))
)
_fields = st.sampled_from(
    (
        "schema",
        "student",
        "layers",
        "recovery",
        "prune",
        "weight",
        "activation",
        "ratio",
        "ratios",
        "bits",
        "granularity",
        "criterion",
        "mode",
        "group_size",
        "family",
        "depth",
        "distill",
        "epochs",
        "space",
        "students",
        "workload",
        "budget",
        "trials",
        "constraints",
        "max",
        "min",
    )
)
documents = st.recursive(
    _scalars,
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.dictionaries(_fields | st.text(st.characters(), max_size=3), parts, max_size=4)
    ),
    max_leaves=12,
)


def places(document: Any, pointer: str = "") -> dict[str, tuple[str | int, ...]]:
    """Every part of a document below its root: the way to it, by JSON pointer."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(document, dict):
        items = list(document.items())
    elif isinstance(document, list):
        items = list(enumerate(document))
    found: dict[str, tuple[str | int, ...]] = {}
    for key, part in items:
        below = f"{pointer}/{escape(str(key))}"
        found[below] = (key,)
        found |= {inner: (key, *way) for inner, way in places(part, below).items()}
    return found


def attempted(read: Callable[[Any], T], document: Any) -> T | InvalidValue:
    """What is read from a document, or the one kind of error that it may raise, whose message can be sent."""
    try:
        return read(document)
    except InvalidValue as error:
        invalid = error
    assert invalid.faults
    str(invalid).encode()
    return invalid


def part_of(document: Any, way: tuple[str | int, ...]) -> Any:
    """The part of a document at the end of a way."""
    for key in way:
        document = document[key]
    return document


def replaced(document: Any, way: tuple[str | int, ...], value: Any) -> Any:
    """A copy of a document with another value at a place."""
    document = copy.deepcopy(document)
    if not way:
        return value
    part_of(document, way[:-1])[way[-1]] = value
    return document


@st.composite
def damaged(draw: st.DrawFn, valid: st.SearchStrategy[Any]) -> Any:
    """A valid document in which one part has been replaced, removed, or joined by an unknown key."""
    document = copy.deepcopy(draw(valid))
    ways = list(places(document).values())
    way = draw(st.sampled_from(ways))
    parent = part_of(document, way[:-1])
    match draw(st.sampled_from(("replace", "remove", "add", "empty"))):
        case "replace":
            parent[way[-1]] = draw(documents)
        case "remove":
            del parent[way[-1]]
        case "empty":
            parent[way[-1]] = type(parent[way[-1]])() if parent[way[-1]] is not None else []
        case _ if isinstance(parent, dict):
            parent[draw(st.text(st.characters(), max_size=3))] = draw(documents)
        case _:
            parent.append(draw(documents))
    return document


@st.composite
def damaged_texts(draw: st.DrawFn, valid: st.SearchStrategy[str]) -> str:
    """A text of which a stretch was replaced, as editors, transfers and other tools do."""
    text = draw(valid)
    start = draw(st.integers(0, len(text)))
    end = min(len(text), start + draw(st.integers(0, 40)))
    pieces = st.sampled_from(
        (
            "\n",
            "\t",
            "- ",
            ": ",
            "{",
            "[",
            "&a ",
            "*a",
            "!!bool ",
            "---\n",
            "1e999",
            ".nan",
            "\0",
            "2020-13-45",
        )
    )
    return text[:start] + draw(pieces | st.text(st.characters(), max_size=6)) + text[end:]
