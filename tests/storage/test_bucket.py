"""What a bucket has besides a directory: machines that share it, and copies that go."""

import os

import fsspec
import pytest

from spaces import StorageError
from storage import open_artifacts

OLD = (0, 0)


@pytest.fixture
def url(tmp_path):
    return f"memory://{tmp_path.name}/artifacts"


@pytest.fixture
def here(tmp_path, url):
    return open_artifacts(tmp_path / "here", url)


@pytest.fixture
def there(tmp_path, url):
    """The store of another machine."""
    return open_artifacts(tmp_path / "there", url)


@pytest.fixture
def ref(tmp_path, here):
    (tmp_path / "model.onnx").write_bytes(b"weights" * 100)
    return here.put(tmp_path / "model.onnx")


def objects(url):
    bucket, path = fsspec.core.url_to_fs(url)
    return bucket, bucket.find(path)


def test_what_one_machine_stored_another_reads(here, there, ref, tmp_path):
    assert there.verify(ref.digest) == ref
    assert there.path(ref.digest).read_bytes() == b"weights" * 100
    assert there.path(ref.digest).is_relative_to(tmp_path / "there")
    assert list(there.digests()) == list(here.digests()) == [ref.digest]


def test_a_copy_goes_after_a_day_and_comes_again_when_it_is_asked_for(there, ref):
    os.utime(there.path(ref.digest), OLD)
    place = there.path(ref.digest)
    assert there.sweep(older_than_s=1) == 700
    assert not place.exists()
    assert there.path(ref.digest).read_bytes() == b"weights" * 100
    assert there.sweep(older_than_s=1) == 0


def test_what_the_bucket_damaged_gets_no_name_here(there, ref, url, tmp_path):
    bucket, (key,) = objects(url)
    bucket.pipe_file(key, b"other weights")
    with pytest.raises(StorageError, match="is damaged"):
        there.path(ref.digest)
    assert [path for path in (tmp_path / "there").rglob("*") if path.is_file()] == []


def test_a_file_that_nothing_refers_to_is_removed_unless_it_is_young(here, there, ref, url):
    assert there.discard(ref.digest, unused_for_s=60) == 0
    assert list(here.digests()) == [ref.digest]
    assert there.discard(ref.digest, unused_for_s=-1) == 700
    assert there.discard(ref.digest, unused_for_s=-1) == 0
    assert list(here.digests()) == []
    assert objects(url)[1] == []


def test_what_lies_beside_the_artifacts_is_none(here, ref, url):
    bucket, (key,) = objects(url)
    bucket.pipe_file(f"{key.rsplit('/', 1)[0]}/README", b"hello")
    assert list(here.digests()) == [ref.digest]


def test_a_bucket_that_fails_is_an_error_of_storage_that_names_it(here, ref, url, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no credentials")

    monkeypatch.setattr(type(objects(url)[0]), "put_file", fail)
    with pytest.raises(StorageError, match=f"cannot store {ref.digest} in {url}: no credentials"):
        here.put(tmp_path / "model.onnx")


def test_an_address_that_nothing_reads_says_what_to_install(tmp_path):
    with pytest.raises(StorageError, match=r"install what it needs \('tauten\[s3\]' for s3://\)"):
        open_artifacts(tmp_path, "carrier-pigeon://loft")
