"""Conditional requests (RFC 9110): a job's entity tag is its revision, and stale writes are refused."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import Header

from search.job import Job

IfMatch = Annotated[
    str | None,
    Header(
        description="Entity tags of the job; with another revision the call answers 412.", max_length=1000
    ),
]
IfNoneMatch = Annotated[
    str | None,
    Header(description="An entity tag that is known; answers 304 while it holds.", max_length=1000),
]

_TAG: Final = re.compile(r'(W/)?"([^"]*)"')


def tag(job: Job, *more: str) -> str:
    """The entity tag of a job, or of something that is found from it and further values."""
    return '"' + ".".join([f"r{job.revision}", *more]) + '"'


def revisions(if_match: str | None) -> list[int] | None:
    """The revisions that a write accepts, or ``None`` for any; a tag that is no job's matches none."""
    if if_match is None or if_match.strip() == "*":
        return None
    found = []
    for weak, text in _TAG.findall(if_match):
        if not weak and text.startswith("r") and text[1:].isascii() and text[1:].isdigit():
            found.append(int(text[1:]))
    return found


def is_known(if_none_match: str | None, current: str) -> bool:
    """The caller has what they ask for already."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or current.strip('"') in {
        text for _, text in _TAG.findall(if_none_match)
    }
