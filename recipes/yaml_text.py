"""YAML as it is read and written here: nothing in it runs code, and equal documents have equal texts."""

from __future__ import annotations

from typing import Any, Final

import yaml

from spaces import InvalidValue, shown

MOST_CHARACTERS: Final = 8_000_000
"""Of a text; a recipe of a thousand layers has a tenth of it."""

MOST_PARTS: Final = 500_000
"""Of a document with its aliases written out: what a few lines of nested aliases exceed at once."""

# PyYAML 6.0 lets through what its constructors raise: "!!bool maybe" a KeyError, "2020-13-45" a ValueError.
_NOT_A_VALUE: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def load_yaml(text: str) -> Any:
    """The document of a text.

    Raises:
        InvalidValue: the text is not YAML, is too long, holds a tag that is not of plain data, names a key
            twice, is nested too deeply, or grows beyond `MOST_PARTS` where its aliases are written out.
    """
    if len(text) > MOST_CHARACTERS:
        raise InvalidValue.at("", f"has {len(text):,} characters; {MOST_CHARACTERS:,} are read at most")
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _weigh(node, {})
        return loader.construct_document(node)
    except RecursionError as error:
        raise InvalidValue.at("", "is nested too deeply") from error
    except (yaml.YAMLError, *_NOT_A_VALUE) as error:
        raise InvalidValue.at("", f"is not YAML: {' '.join(str(error).split())}") from error


def dump_yaml(document: Any) -> str:
    """A document's text, keys in its order; a part that stands in two places is written out in both."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _weigh(node: yaml.Node, known: dict[int, int | None]) -> int:
    """Parts of a node with its aliases written out; each node is visited once."""
    weight = known.get(id(node), 0)
    if weight is None:
        raise InvalidValue.at("", f"line {node.start_mark.line + 1}: a part contains itself")
    if weight:
        return weight
    known[id(node)] = None
    if isinstance(node, yaml.MappingNode):
        _check_keys(node)
        weight = 1 + sum(_weigh(key, known) + _weigh(value, known) for key, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        weight = 1 + sum(_weigh(item, known) for item in node.value)
    else:
        weight = 1
    if weight > MOST_PARTS:
        line = node.start_mark.line + 1
        detail = f"line {line}: grows to over {MOST_PARTS:,} parts where its aliases are written out"
        raise InvalidValue.at("", detail)
    known[id(node)] = weight
    return weight


def _check_keys(node: yaml.MappingNode) -> None:
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if (key.tag, key.value) in seen:
            line = key.start_mark.line + 1
            raise InvalidValue.at("", f"line {line}: the key {shown(key.value)} stands twice in one object")
        seen.add((key.tag, key.value))
