import io
import tarfile

import pytest

from search.runners.ray_cluster.packing import pack, unpack


def test_files_of_a_cache_reach_another_where_they_lack_and_replace_nothing(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    for root, text in ((here, "mine"), (there, "theirs")):
        (root / "ab").mkdir(parents=True)
        (root / "ab" / "model").write_text(text)
    (here / "data").write_text("new")
    (tmp_path / "elsewhere").write_text("not in the cache")

    content = pack([here / "ab" / "model", here / "data", tmp_path / "elsewhere", here / "gone"], here)

    assert unpack(content, there) == [there / "data"]
    assert (there / "ab" / "model").read_text() == "theirs"
    assert (there / "data").read_text() == "new"
    assert sorted(path.name for path in there.rglob("*") if path.is_file()) == ["data", "model"]


def test_a_path_out_of_the_cache_is_refused(tmp_path):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../outside"), io.BytesIO())

    with pytest.raises(tarfile.OutsideDestinationError):
        unpack(content.getvalue(), tmp_path / "cache")
    assert not (tmp_path / "outside").exists()
