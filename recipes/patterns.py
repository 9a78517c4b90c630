r"""Patterns for equal layers: ``re:encoder\.layer\.\d+\.ffn`` in place of a name, and back without loss.

A pattern is a regular expression after ``re:`` that fits the whole module path. Folding makes one only where
it fits exactly the layers that it stands for, so that unfolding on the same model gives the same policy to
the digest; on another model of like names it gives what the pattern says there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from spaces import Fault, InvalidPolicy, LayerPolicy, Policy, layer_pointer, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from spaces import LayerInventory

PREFIX: Final = "re:"
MOST_CHARACTERS: Final = 1000
MOST_REPEATS: Final = 8
"""Of open repetitions in one pattern: with nested ones it could run for ever, with many for very long."""

_NUMBER: Final = re.compile(r"\d+")
_ANY_NUMBER: Final = r"\d+"
_REPEATED_GROUP: Final = re.compile(r"\)[*+{]")
_OPEN_REPEAT: Final = re.compile(r"(?<!\\)[*+{]")


def layer_names(inventory: LayerInventory) -> tuple[str, ...]:
    """All names that a policy may have for a model: its layers, and the containers of its blocks."""
    names = [layer.name for layer in inventory.layers]
    return tuple(dict.fromkeys([*names, *(run.container for run in inventory.runs)]))


def has_patterns(policy: Policy) -> bool:
    """Some layers are named by a pattern."""
    return any(name.startswith(PREFIX) for name in policy.layers)


def fold(policy: Policy, names: Iterable[str]) -> Policy:
    """The same policy with patterns for layers that are treated alike and named alike but for numbers.

    Args:
        policy: layers by name.
        names: of all layers of the model (`layer_names`), so that no pattern fits another layer.

    Returns:
        A policy of which `unfold` with the same names gives the first one back.

    Raises:
        InvalidPolicy: the policy has patterns already, or names a layer that is not among the names.
    """
    everything = tuple(names)
    unknown = [name for name in policy.layers if name not in set(everything)]
    if unknown:
        raise InvalidPolicy(
            Fault(layer_pointer(name), f"the model has no layer {name!r}") for name in unknown
        )
    groups: dict[tuple[LayerPolicy, str], list[str]] = {}
    for name, layer in policy.layers.items():
        groups.setdefault((layer, _NUMBER.sub("0", name)), []).append(name)
    layers: dict[str, LayerPolicy] = {}
    for (layer, _), members in groups.items():
        layers |= dict.fromkeys(_keys(members, everything), layer)
    return Policy(policy.student, layers, policy.recovery)


def unfold(policy: Policy, names: Iterable[str]) -> Policy:
    """A policy with every pattern written out for a model.

    A layer's own name comes before a pattern.

    Args:
        policy: layers by name or pattern.
        names: of all layers of the model (`layer_names`).

    Raises:
        InvalidPolicy: a pattern is no such expression or fits no layer, or two patterns fit one layer and
            treat it differently; names of layers are not checked.
    """
    everything = tuple(names)
    layers = {name: layer for name, layer in policy.layers.items() if not name.startswith(PREFIX)}
    named = set(layers)
    origin: dict[str, str] = {}
    for pattern, layer in policy.layers.items():
        if not pattern.startswith(PREFIX):
            continue
        fitting = [name for name in everything if check_pattern(pattern).fullmatch(name)]
        if not fitting:
            raise InvalidPolicy.at(layer_pointer(pattern), "fits no layer of the model")
        for name in fitting:
            if name in named:
                continue
            if name in origin and layers[name] != layer:
                detail = f"fits {name!r} like {origin[name]!r}, which says something else of it"
                raise InvalidPolicy.at(layer_pointer(pattern), detail)
            origin[name] = pattern
            layers[name] = layer
    return Policy(policy.student, layers, policy.recovery)


def check_pattern(pattern: str) -> re.Pattern[str]:
    """The expression of a pattern, which begins with ``re:``.

    Raises:
        InvalidPolicy: it is no regular expression, or one that could run for ever.
    """
    text, where = pattern.removeprefix(PREFIX), layer_pointer(pattern)
    if len(text) > MOST_CHARACTERS:
        raise InvalidPolicy.at(where, f"has {len(text)} characters; {MOST_CHARACTERS} are the most")
    if _REPEATED_GROUP.search(text) or len(_OPEN_REPEAT.findall(text)) > MOST_REPEATS:
        detail = f"repeats a group, or more than {MOST_REPEATS} times; such patterns can run for ever"
        raise InvalidPolicy.at(where, detail)
    try:
        return re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise InvalidPolicy.at(where, f"{shown(text)} is no regular expression: {error}") from error


def _keys(members: Sequence[str], everything: Iterable[str]) -> list[str]:
    """Patterns, and names where none fits, that stand for the members alone; few of them.

    Where one pattern would fit other layers too, the members are split by one of their numbers, the one that
    leaves fewest keys.
    """
    pattern = _pattern(members, everything)
    if pattern is not None:
        return [pattern]
    best = list(members)
    for index, column in enumerate(_columns(members)):
        values = sorted(set(column), key=int)
        if len(values) == 1:
            continue
        parts = [[name for name in members if _NUMBER.findall(name)[index] == value] for value in values]
        keys = [key for part in parts for key in _keys(part, everything)]
        best = min(best, keys, key=len)
    return best


def _pattern(members: Sequence[str], everything: Iterable[str]) -> str | None:
    """The shortest pattern that fits the members and nothing else, or ``None``."""
    if len(members) == 1 and not members[0].startswith(PREFIX):
        return None
    fixed = [re.escape(part) for part in _NUMBER.split(members[0])]
    numbers = [sorted(set(column), key=int) for column in _columns(members)]
    for column in _choices(numbers):
        text = "".join(part + slot for part, slot in zip(fixed, [*column, ""], strict=True))
        is_allowed = len(text) <= MOST_CHARACTERS and len(_OPEN_REPEAT.findall(text)) <= MOST_REPEATS
        if is_allowed and {name for name in everything if re.fullmatch(text, name)} == set(members):
            return PREFIX + text
    return None


def _columns(members: Sequence[str]) -> list[tuple[str, ...]]:
    return list(zip(*(_NUMBER.findall(name) for name in members), strict=True))


def _choices(numbers: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """What may stand for the numbers, from the most general on: any number, then those that occur."""
    yield [_ANY_NUMBER if len(values) > 1 else values[0] for values in numbers]
    yield [f"(?:{'|'.join(values)})" if len(values) > 1 else values[0] for values in numbers]
