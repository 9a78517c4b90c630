import gzip

import numpy as np
import pytest
import torch

from evaluators.workloads import fashion_mnist
from evaluators.workloads.fashion_mnist import VARIABLE, FashionMnist, augment, find_fashion_mnist, read_idx
from spaces import UnknownName, WorkloadError
from tests.evaluators.workloads.idx_files import clothes, idx, write_fashion_mnist

HELD_OUT = ("calibration", "validation", "test")


@pytest.fixture
def files(tmp_path, monkeypatch):
    write_fashion_mnist(tmp_path)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


def whole(data, split, **options):
    inputs, targets = zip(*((x, y) for (x,), y in data.batches(split, 64, **options)), strict=True)
    return torch.cat(inputs), torch.cat(targets)


def test_the_splits_share_no_image_and_leave_none_out(files):
    data = FashionMnist()
    splits = [data._splits[split][0].flatten(1).numpy() for split in ("train", *HELD_OUT)]

    assert [len(split) for split in splits] == [500, 50, 50, 100]
    assert len(np.unique(np.concatenate(splits), axis=0)) == 700


def test_every_split_has_all_classes_alike(files):
    data = FashionMnist()
    for split in ("train", *HELD_OUT):
        counts = np.bincount(whole(data, split)[1])
        assert (counts == data.size(split) // 10).all()


def test_test_is_the_official_split_in_its_order(files):
    images, labels = clothes(100, seed=1)
    read, classes = whole(FashionMnist(), "test")

    assert read.dtype == torch.float32
    assert np.allclose(read[:, 0].numpy() * 255, images)
    assert (classes.numpy() == labels).all()


def test_another_seed_splits_otherwise_but_for_test(files):
    assert not torch.equal(whole(FashionMnist(0), "validation")[0], whole(FashionMnist(1), "validation")[0])
    assert torch.equal(whole(FashionMnist(0), "test")[0], whole(FashionMnist(1), "test")[0])


def test_only_train_is_shuffled_and_augmented_and_by_the_seed(files):
    data = FashionMnist()
    for split in HELD_OUT:
        assert torch.equal(whole(data, split, seed=1)[0], whole(data, split, seed=2)[0])
    assert torch.equal(whole(data, "train", seed=1)[0], whole(data, "train", seed=1)[0])
    assert not torch.equal(whole(data, "train", seed=1)[1], whole(data, "train", seed=2)[1])


@pytest.mark.parametrize("split", ["train", *HELD_OUT])
def test_a_limit_bounds_the_examples(files, split):
    assert len(whole(FashionMnist(), split, limit=33)[0]) == 33
    assert list(FashionMnist().batches(split, 8, limit=0)) == []


def test_an_unknown_split_is_named_with_the_known_ones(files):
    with pytest.raises(UnknownName, match="unknown split 'dev'; choose one of: calibration, test, train"):
        next(FashionMnist().batches("dev", 1))


def test_the_digest_follows_pixels_and_not_their_compression(files):
    before = FashionMnist().digest
    path = files / "t10k-images-idx3-ubyte.gz"
    content = gzip.decompress(path.read_bytes())

    path.write_bytes(gzip.compress(content, compresslevel=1, mtime=7))
    assert FashionMnist().digest == before

    path.write_bytes(gzip.compress(content[:-1] + bytes([content[-1] ^ 1])))
    assert FashionMnist().digest != before


def moved(image, down, right, *, is_mirrored):
    """Brute force: the pixel at (row, column) comes from that far away, or is black."""
    source = np.zeros_like(image)
    height, width = image.shape
    for row in range(height):
        for column in range(width):
            if 0 <= row + down < height and 0 <= column + right < width:
                source[row, column] = image[row + down, column + right]
    return source[:, ::-1] if is_mirrored else source


def test_every_augmented_image_is_a_shifted_and_perhaps_mirrored_one_and_each_way_happens():
    image = np.random.default_rng(0).integers(1, 255, (7, 6), dtype=np.uint8)
    ways = {
        moved(image, down, right, is_mirrored=is_mirrored).tobytes(): (down, right, is_mirrored)
        for down in range(-2, 3)
        for right in range(-2, 3)
        for is_mirrored in (False, True)
    }

    made = augment(torch.tensor(image).repeat(2000, 1, 1), torch.Generator().manual_seed(0)).numpy()

    assert made.shape == (2000, 7, 6)
    assert {ways[one.tobytes()] for one in made} == set(ways.values())
    assert len(ways) == 50


def test_augmentation_follows_its_generator():
    images = torch.arange(4 * 49, dtype=torch.uint8).reshape(4, 7, 7)

    first, again, other = (augment(images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))

    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_missing_files_are_named_with_both_remedies(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))

    with pytest.raises(WorkloadError) as caught:
        find_fashion_mnist()

    for words in (
        str(tmp_path),
        "train-images-idx3-ubyte.gz",
        "make data",
        f"set {VARIABLE}",
        "apt-get install",
    ):
        assert words in str(caught.value)


def test_without_the_variable_the_cache_comes_before_the_system(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("TAUTEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fashion_mnist, "SYSTEM", tmp_path / "system")
    with pytest.raises(WorkloadError, match="its files are missing; run `make data`"):
        find_fashion_mnist()

    for place in (tmp_path / "system", tmp_path / "cache" / "fashion-mnist"):
        place.mkdir(parents=True)
        write_fashion_mnist(place, 60, 20)
        assert find_fashion_mnist() == place


@pytest.mark.parametrize(
    "content",
    [
        b"no gzip",
        idx(np.zeros((3, 2, 2)))[:-12],
        gzip.compress(b""),
        gzip.compress(b"\0\0\x08"),
        idx(np.zeros(12)),
        gzip.compress(gzip.decompress(idx(np.zeros((3, 2, 2))))[:-1]),
    ],
    ids=["no gzip", "cut gzip", "empty", "no header", "other dimensions", "cut content"],
)
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "images.gz"
    path.write_bytes(content)

    with pytest.raises(WorkloadError, match=r"images\.gz .*fetch it again with `make data`"):
        read_idx(path, 3)


def test_an_idx_file_is_read_as_it_was_written(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (3, 5, 4), dtype=np.uint8)
    (tmp_path / "a.gz").write_bytes(idx(array))

    assert (read_idx(tmp_path / "a.gz", 3) == array).all()


def test_images_and_labels_that_do_not_belong_together_are_refused(files):
    (files / "train-labels-idx1-ubyte.gz").write_bytes(idx(np.zeros(7)))

    with pytest.raises(WorkloadError, match=r"holds 600 images, train-labels-idx1-ubyte\.gz 7 labels"):
        FashionMnist().size("train")
