import pytest

from evaluators.workloads.movie_reviews import (
    FILE,
    VARIABLE,
    MovieReviews,
    Snippet,
    find_movie_reviews,
    read_movie_reviews,
)
from spaces import UnknownName, WorkloadError
from tests.evaluators.workloads.reviews import write_movie_reviews

SPLITS = ("train", "calibration", "validation", "test")


@pytest.fixture
def _file(tmp_path, monkeypatch):
    write_movie_reviews(tmp_path, 200)
    monkeypatch.setenv(VARIABLE, str(tmp_path))


@pytest.mark.usefixtures("_file")
def test_the_splits_share_no_snippet_and_leave_none_out():
    reviews = MovieReviews()
    splits = [{snippet.text for snippet in reviews.split(name)} for name in SPLITS]

    assert [len(split) for split in splits] == [140, 10, 20, 30]
    assert len(set.union(*splits)) == 200


@pytest.mark.usefixtures("_file")
def test_half_of_every_split_is_positive():
    for name in SPLITS:
        split = MovieReviews().split(name)
        assert sum(snippet.is_positive for snippet in split) == len(split) // 2


@pytest.mark.usefixtures("_file")
def test_the_splits_follow_the_seed():
    assert MovieReviews(0).split("test") == MovieReviews(0).split("test")
    assert set(MovieReviews(0).split("test")) != set(MovieReviews(1).split("test"))


@pytest.mark.usefixtures("_file")
def test_an_unknown_split_is_named_with_the_known_ones():
    with pytest.raises(UnknownName, match="unknown split 'dev'; choose one of: calibration, test, train"):
        MovieReviews().split("dev")


def test_neutral_snippets_and_repeated_ones_are_left_out(tmp_path):
    path = tmp_path / FILE
    path.write_bytes(
        "1\t2.5\tgood\r\n2\t-0.5\tnot so good\r\n3\t0.49\tit is\r\n4\t-3\tgood\r\n5\t.5\tdéjà vu\r\n".encode()
    )

    assert read_movie_reviews(path) == [
        Snippet("good", is_positive=True),
        Snippet("not so good", is_positive=False),
        Snippet("déjà vu", is_positive=True),
    ]


@pytest.mark.parametrize(
    "content",
    [b"1\tgood", b"1\tfine\tgood\n", b"1\t1.0\tgood\tmore\n", b"1\t1.0\tcaf\xe9\n", b""],
    ids=["a field less", "no rating", "a field more", "not UTF-8", "empty"],
)
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / FILE
    path.write_bytes(content)

    with pytest.raises(WorkloadError, match=r"GroundTruth\.txt is no file of lines .*with `make data`"):
        read_movie_reviews(path)


def test_a_missing_file_is_named_with_the_remedies(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("TAUTEN_CACHE", str(tmp_path))
    with pytest.raises(WorkloadError) as caught:
        find_movie_reviews()

    for words in (str(tmp_path / "movie-reviews" / FILE), "run `make data`", f"set {VARIABLE}"):
        assert words in str(caught.value)

    (tmp_path / "movie-reviews").mkdir()
    write_movie_reviews(tmp_path / "movie-reviews", 10)
    assert find_movie_reviews() == tmp_path / "movie-reviews" / FILE
