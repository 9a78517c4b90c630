"""How workloads are named and addressed. Loads none."""

from __future__ import annotations

import re
from typing import Final

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Of a workload; it names files and rows."""

FILE: Final = re.compile(r"(?P<path>.+\.py):(?P<factory>[A-Za-z_]\w*)")
"""A factory in a file of Python."""

DESCRIPTION: Final = re.compile(r"(?P<kind>torch|hf):(?P<path>.+)")
"""A description in YAML, by who reads it; of ``hf`` also a directory that holds one."""


def is_file_reference(name: str) -> bool:
    """The name is an address of a file, which may run code: never accept it from a request."""
    return bool(FILE.fullmatch(name) or DESCRIPTION.fullmatch(name))
