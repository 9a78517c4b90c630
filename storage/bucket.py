"""Deployable files in a bucket (S3 and what speaks like it), with copies on this machine's disk.

A bucket stores an object whole or not at all, so nothing is renamed there. What it says of itself is not
trusted: a file that was fetched is compared with its digest before it gets its name here.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spaces import MissingFile, StorageError
from storage.artifacts import ArtifactStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from search.trial import ArtifactRef

COPY_S: Final = 24 * 3600.0
"""How long a copy that nobody stored again stays on this machine; the bucket has the file."""


def open_artifacts(root: Path, url: str | None) -> ArtifactStore:
    """The store of a service: a directory, or a bucket of which the directory holds copies.

    Args:
        root: the directory.
        url: such as ``s3://bucket/prefix``, or ``None``.

    Raises:
        StorageError: nothing is installed that reads such an address.
    """
    return ArtifactStore(root) if url is None else BucketStore(root, url)


class BucketStore(ArtifactStore):
    """An `ArtifactStore` whose files lie in a bucket, so that machines need no common disk.

    Args:
        root: of the copies here.
        url: of a file system that `fsspec` knows, with the path in it; credentials come from where its
            library looks for them, never from the address.
        options: of the file system.

    Raises:
        StorageError: nothing is installed that reads such an address.
    """

    def __init__(self, root: Path, url: str, **options: Any) -> None:
        super().__init__(root)
        from fsspec.core import url_to_fs

        try:
            self._bucket, path = url_to_fs(url, **options)
        except (ImportError, ValueError) as error:
            detail = (
                f"cannot keep artifacts in {url}: {error}; install what it needs ('tauten[s3]' for s3://)"
            )
            raise StorageError(detail) from error
        self._url, self._prefix = url, path.rstrip("/")

    def put(self, path: Path) -> ArtifactRef:
        """Stores a file here and in the bucket, there anew each time: that renews its time.

        Raises:
            StorageError: the file cannot be read, or one of both not written.
        """
        ref = super().put(path)
        with self._told("store", ref.digest):
            self._bucket.put_file(str(super().path(ref.digest)), self._key(ref.digest))
        return ref

    def path(self, digest: str) -> Path:
        """Where a copy of the file lies here; it is fetched where there is none.

        Raises:
            StorageError: there is none of that digest, it is damaged, or it is no digest.
        """
        place = self._place(digest)
        if not place.is_file():
            self._fetch(digest)
        return place

    def digests(self) -> Iterator[str]:
        """Every file in the bucket, in no order."""
        with self._told("list", "files"):
            self._bucket.invalidate_cache()
            keys = self._bucket.find(f"{self._prefix}/sha256")
        for key in keys:
            folder, name = key.rsplit("/", 2)[-2:]
            if self.is_digest(digest := f"sha256:{folder}{name}"):
                yield digest

    def discard(self, digest: str, *, unused_for_s: float) -> int:
        """As `ArtifactStore.discard`; a bucket cannot tell that a file is stored again while it is removed.

        So it must not be called for files that are younger than a trial takes from its file to its row.
        """
        key = self._key(digest)
        with self._told("remove", digest):
            self._bucket.invalidate_cache()
            if not self._bucket.exists(key):
                return 0
            if self._bucket.modified(key).timestamp() > time.time() - unused_for_s:
                return 0
            size_bytes = int(self._bucket.size(key))
            self._bucket.rm_file(key)
        super().discard(digest, unused_for_s=0.0)
        return size_bytes

    def sweep(self, *, older_than_s: float) -> int:
        """Removes what was left half written here, and copies that nobody stored for long.

        Returns:
            The bytes that were freed on this machine.
        """
        freed = super().sweep(older_than_s=older_than_s)
        for digest in list(super().digests()):
            freed += super().discard(digest, unused_for_s=max(COPY_S, older_than_s))
        return freed

    def _fetch(self, digest: str) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._root, prefix="incoming-") as directory:
            aside = Path(directory) / "file"
            with self._told("fetch", digest):
                if not self._bucket.exists(self._key(digest)):
                    raise MissingFile(f"artifact {digest} is missing from {self._url}")
                self._bucket.get_file(self._key(digest), str(aside))
            found = super().put(aside)
        if found.digest != digest:
            super().discard(found.digest, unused_for_s=0.0)
            raise MissingFile(f"artifact {digest} is damaged: {self._url} has the content of {found.digest}")

    def _key(self, digest: str) -> str:
        place = self._place(digest)
        return f"{self._prefix}/sha256/{place.parent.name}/{place.name}"

    @contextmanager
    def _told(self, what: str, digest: str) -> Iterator[None]:
        """Whatever a bucket's library raises, and each has errors of its own, is an error of storage."""
        try:
            yield
        except StorageError:
            raise
        except Exception as error:
            raise StorageError(f"cannot {what} {digest} in {self._url}: {error}") from error
