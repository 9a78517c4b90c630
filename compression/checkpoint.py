"""A file for the state of unfinished work: tensors, and JSON beside them, in safetensors. No pickle.

A file is written aside and renamed, so that whatever is killed, the path holds a whole checkpoint or none.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save, save_file

from spaces import CompressionError, digest_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
    """Writes a checkpoint in place of the one before; tensors may share memory and lie on any device."""
    aside = path.with_name(f".{os.getpid()}.{path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        save_file(_apart(tensors), aside, {"state": json.dumps(document)})
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def read_checkpoint(path: Path, fingerprint: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The tensors, on the CPU, and the document of a checkpoint, or ``None`` if there is none.

    Args:
        path: where it was written.
        fingerprint: compared with the document's field ``fingerprint``; a checkpoint of other work is as good
            as none.

    Raises:
        CompressionError: the file is damaged, or no checkpoint.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            document: dict[str, Any] = json.loads((file.metadata() or {})["state"])
            if document["fingerprint"] != fingerprint:
                return None
            return {name: file.get_tensor(name) for name in file.keys()}, document  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError) as error:
        raise CompressionError(
            f"checkpoint {path} cannot be read: {error}; delete it to start anew"
        ) from error


def fingerprint_of(tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> str:
    """``sha256:…`` of names, dtypes, shapes and bytes of tensors, and of a JSON document."""
    return digest_bytes(save(_apart(tensors), {"document": json.dumps(document, sort_keys=True)}))


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # safetensors refuses tensors that share memory, as tied weights do.
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
