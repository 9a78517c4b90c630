"""Deployable files by their content: ``<root>/sha256/ab/cdef…``. Knows no job and no trial.

A file appears under its name complete or not at all, so that any process may be killed while it is stored.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from search.trial import ArtifactRef
from spaces import MissingFile, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{2})([0-9a-f]{62})")


class ArtifactStore:
    """A content-addressed directory; processes and threads may share it.

    Args:
        root: created when the first file is put.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, path: Path) -> ArtifactRef:
        """Stores a copy of a file; one that is there already stays as it is, unless it is damaged.

        Raises:
            StorageError: the file cannot be read, or the store not written.
        """
        try:
            return self._put(path)
        except OSError as error:
            raise StorageError(f"cannot store {path} under {self._root}: {error}") from error

    def path(self, digest: str) -> Path:
        """Where a file lies.

        Raises:
            StorageError: there is none of that digest, or it is no digest.
        """
        path = self._place(digest)
        if not path.is_file():
            raise MissingFile(f"artifact {digest} is missing from {self._root}")
        return path

    def digests(self) -> Iterator[str]:
        """Every file that is there, in no order."""
        for path in (self._root / "sha256").glob("??/*"):
            if self.is_digest(digest := f"sha256:{path.parent.name}{path.name}"):
                yield digest

    def discard(self, digest: str, *, unused_for_s: float) -> int:
        """Removes a file that nothing refers to, unless it was stored again just now.

        A trial's file is stored a moment before its row is, and storing it again renews its time.

        Args:
            digest: of the file; one that is not there is no error.
            unused_for_s: a file that was stored since stays.

        Returns:
            The bytes that were freed.

        Raises:
            StorageError: the file cannot be removed, or it is no digest.
        """
        place = self._place(digest)
        aside = place.with_name(f".{place.name}.gone")
        try:
            place.replace(aside)  # first: whoever stores the file now makes another
            found = aside.stat()
            if found.st_mtime > time.time() - unused_for_s:
                os.link(aside, place)
                aside.unlink()
                return 0
            aside.unlink()
        except (FileNotFoundError, FileExistsError):  # gone already, or stored again meanwhile
            aside.unlink(missing_ok=True)
            return 0
        except OSError as error:
            raise StorageError(f"cannot remove {place}: {error}") from error
        return found.st_size

    def sweep(self, *, older_than_s: float) -> int:
        """Removes what processes that were killed left half written.

        Returns:
            The bytes that were freed.
        """
        freed = 0
        for path in [*self._root.glob("incoming-*"), *(self._root / "sha256").glob("??/.*.gone")]:
            with suppress(FileNotFoundError):
                found = path.stat()
                if found.st_mtime < time.time() - older_than_s:
                    path.unlink()
                    freed += found.st_size
        return freed

    @staticmethod
    def is_digest(text: str) -> bool:
        """A text has the form of a digest."""
        return _DIGEST.fullmatch(text) is not None

    def verify(self, digest: str) -> ArtifactRef:
        """Reads a file and compares it with its digest.

        Raises:
            StorageError: it is missing or damaged.
        """
        with self.open_verified(digest) as file:
            return ArtifactRef(digest, os.fstat(file.fileno()).st_size)

    @contextmanager
    def open_verified(self, digest: str) -> Iterator[BinaryIO]:
        """A file, open for reading from its start, whose content was compared with its digest just now.

        Raises:
            StorageError: it is missing or damaged.
        """
        path = self.path(digest)
        with path.open("rb") as file:
            found = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
            if found != digest:
                raise StorageError(f"artifact {digest} is damaged: {path} has the content of {found}")
            file.seek(0)
            yield file

    def _put(self, source: Path) -> ArtifactRef:
        self._root.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix="incoming-", dir=self._root)
        aside = Path(name)
        try:
            with source.open("rb") as original, os.fdopen(descriptor, "w+b") as copy:
                shutil.copyfileobj(original, copy, 1 << 20)
                copy.flush()
                os.fsync(copy.fileno())
                size_bytes = copy.tell()
                copy.seek(0)
                # The copy is what is hashed: the original may change meanwhile.
                digest = f"sha256:{hashlib.file_digest(copy, 'sha256').hexdigest()}"
            aside.chmod(0o644)
            place = self._place(digest)
            place.parent.mkdir(parents=True, exist_ok=True)
            aside.replace(place)
            _sync(place.parent)
        finally:
            aside.unlink(missing_ok=True)
        return ArtifactRef(digest, size_bytes)

    def _place(self, digest: str) -> Path:
        match = _DIGEST.fullmatch(digest)
        if match is None:
            raise StorageError(f"{digest!r} is not a digest such as sha256:ab12…")
        return self._root / "sha256" / match[1] / match[2]


def _sync(directory: Path) -> None:
    """Makes a rename survive a power failure."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
