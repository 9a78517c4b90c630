"""Canonical JSON and digests: equal documents have equal bytes, and a digest names them everywhere."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(document: Any) -> str:
    """The one JSON text of a document: sorted keys, no white space, no NaN or infinity.

    Raises:
        ValueError: the document holds NaN, an infinity, or something that JSON has no form for.
    """
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(document: Any) -> str:
    """``sha256:…`` of a document's canonical JSON."""
    return digest_bytes(canonical_json(document).encode())


def digest_bytes(data: bytes) -> str:
    """``sha256:…`` of bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
