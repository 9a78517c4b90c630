"""Cached files of one machine on another: a workload's trained model and data are made and fetched once."""

from __future__ import annotations

import io
import os
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def pack(files: Iterable[Path], root: Path) -> bytes:
    """Files below a directory, as one archive of paths relative to it; others are left out."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for path in sorted(set(files)):
            if path.is_relative_to(root) and path.is_file():
                archive.add(path, path.relative_to(root).as_posix(), recursive=False)
    return content.getvalue()


def unpack(content: bytes, root: Path) -> list[Path]:
    """Writes the files of an archive that a directory lacks, each aside and renamed.

    Returns:
        The files that were written.

    Raises:
        tarfile.OutsideDestinationError: a path leads out of the directory.
    """
    written = []
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive.getmembers():
            checked = tarfile.data_filter(member, str(root))
            path = root / checked.name
            source = archive.extractfile(member)
            if path.exists() or source is None:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_name(f".{os.getpid()}.{path.name}")
            aside.write_bytes(source.read())
            aside.replace(path)
            written.append(path)
    return written
