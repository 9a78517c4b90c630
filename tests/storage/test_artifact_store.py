import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spaces import StorageError
from storage import ArtifactStore, open_artifacts


@pytest.fixture(params=["directory", "bucket"])
def artifacts(request, tmp_path):
    if request.param == "directory":
        return ArtifactStore(tmp_path / "artifacts")
    return open_artifacts(tmp_path / "artifacts", f"memory://bucket/{tmp_path.name}")


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"weights" * 1000)
    return path


def files(directory):
    return sorted(path for path in directory.rglob("*") if path.is_file())


def test_a_file_is_found_by_the_digest_of_its_content(artifacts, model, tmp_path):
    ref = artifacts.put(model)
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    assert (ref.digest, ref.size_bytes) == (f"sha256:{sha256}", 7000)
    assert artifacts.path(ref.digest) == tmp_path / "artifacts" / "sha256" / sha256[:2] / sha256[2:]
    assert artifacts.path(ref.digest).read_bytes() == model.read_bytes()
    assert artifacts.path(ref.digest).stat().st_mode & 0o777 == 0o644


def test_the_same_content_is_kept_once(artifacts, model, tmp_path):
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(model.read_bytes())
    assert artifacts.put(model) == artifacts.put(copy) == artifacts.put(model)
    assert len(files(tmp_path / "artifacts")) == 1


def test_the_original_stays_and_may_change(artifacts, model):
    ref = artifacts.put(model)
    model.write_bytes(b"other")
    assert artifacts.verify(ref.digest) == ref


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(content=st.binary(max_size=4096))
def test_any_content_comes_back(artifacts, tmp_path, content):
    path = tmp_path / "any"
    path.write_bytes(content)
    with artifacts.open_verified(artifacts.put(path).digest) as file:
        assert file.read() == content


def test_a_damaged_file_is_noticed_and_repaired(artifacts, model):
    ref = artifacts.put(model)
    place = artifacts.path(ref.digest)
    place.write_bytes(b"w" + place.read_bytes()[:-1])
    with pytest.raises(StorageError, match="is damaged"):
        artifacts.verify(ref.digest)
    artifacts.put(model)
    assert artifacts.verify(ref.digest) == ref


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "sha256:",
        "sha256:../../etc/passwd",
        "sha256:" + "A" * 64,
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 64 + "\n",
        "sha256:" + "a" * 62 + "/a",
        "md5:" + "a" * 64,
    ],
)
def test_what_is_no_digest_leads_nowhere(artifacts, digest):
    with pytest.raises(StorageError, match="is not a digest"):
        artifacts.path(digest)


def test_a_missing_file_is_named(artifacts):
    with pytest.raises(StorageError, match=r"sha256:a+ is missing"):
        artifacts.path("sha256:" + "a" * 64)


def test_a_file_that_cannot_be_read_leaves_nothing(artifacts, tmp_path):
    with pytest.raises(StorageError, match="cannot store"):
        artifacts.put(tmp_path / "nothing.onnx")
    assert files(tmp_path / "artifacts") == []


def test_a_failed_rename_leaves_nothing(artifacts, model, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", fail)
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(StorageError, match="No space left"):
        artifacts.put(model)
    assert files(tmp_path / "artifacts") == []


def test_threads_put_the_same_file_at_once(artifacts, model, tmp_path):
    with ThreadPoolExecutor(8) as threads:
        refs = set(threads.map(artifacts.put, [model] * 32))
    assert len(refs) == 1
    assert len(files(tmp_path / "artifacts")) == 1
    assert artifacts.verify(refs.pop().digest)
