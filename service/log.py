"""Lines of key and value on standard error, with the ids of request and job; secrets never reach them."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

HIDDEN: Final = "***"

_SECRET_NAMES: Final = re.compile(r"authorization|cookie|password|secret|token|api_?key", re.IGNORECASE)
_SECRETS: Final = (
    (re.compile(r"\btk_([0-9a-f]{12})_[A-Za-z0-9_-]+"), rf"tk_\1_{HIDDEN}"),
    (re.compile(r"(?i)\b(bearer)\s+\S+"), rf"\1 {HIDDEN}"),
    (re.compile(r"(\w[\w+.-]*://[^/\s:@]*):[^/\s@]+@"), rf"\1:{HIDDEN}@"),
)


def configure_log(level: int = logging.INFO, log_format: str = "logfmt") -> None:
    """Sets up this process's log.

    Args:
        level: what is less is left out.
        log_format: ``logfmt`` or ``json``.
    """
    render: Any = (
        structlog.processors.JSONRenderer(sort_keys=False)
        if log_format == "json"
        else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"])
    )
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            hide_secrets,
            render,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def hide_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replaces what must not be written: values of secret names, and keys and passwords within any text."""
    for name, value in event.items():
        if _SECRET_NAMES.search(name):
            event[name] = HIDDEN
        elif isinstance(value, str):
            event[name] = without_secrets(value)
        elif isinstance(value, BaseException):
            event[name] = without_secrets(str(value))
    return event


def without_secrets(text: str) -> str:
    """A text with keys, bearer tokens and passwords of URLs replaced."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text
