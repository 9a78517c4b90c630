"""YAML as it is read and written here: nothing in it runs code, and equal documents have equal texts."""

from __future__ import annotations

from typing import Any, Final

import yaml

from spaces import InvalidValue

# PyYAML 6.0 lets through what its constructors raise: "!!bool maybe" a KeyError, "2020-13-45" a ValueError.
_NOT_A_VALUE: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def load_yaml(text: str) -> Any:
    """The document of a text.

    Raises:
        InvalidValue: the text is not YAML, holds a tag that is not of plain data, or is nested too deeply.
    """
    try:
        return yaml.safe_load(text)
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
