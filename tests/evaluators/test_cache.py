from evaluators.cache import cached, code_digest

SOURCE = '''"""Module."""
def double(x):
    """Twice."""
    return 2 * x  # why
'''


def digest(tmp_path, text):
    path = tmp_path / "source.py"
    path.write_text(text)
    return code_digest(str(path))


def test_comments_layout_and_docstrings_do_not_change_the_digest_of_code(tmp_path):
    before = digest(tmp_path, SOURCE)

    assert digest(tmp_path, "def double(x):\n\n    return (2 *\n            x)\n") == before


def test_every_other_change_of_code_does(tmp_path):
    variants = [
        SOURCE,
        SOURCE.replace("2", "3"),
        SOURCE.replace("double", "twice"),
        SOURCE.replace("2 *", "'a' *"),
    ]

    assert len({digest(tmp_path, variant) for variant in variants}) == 4


def test_the_order_of_files_counts(tmp_path):
    (tmp_path / "a.py").write_text("a = 1")
    (tmp_path / "b.py").write_text("b = 1")
    a, b = str(tmp_path / "a.py"), str(tmp_path / "b.py")

    assert code_digest(a, b) != code_digest(b, a)


def test_a_file_is_made_once_for_a_key_and_a_failure_leaves_none(tmp_path, monkeypatch):
    monkeypatch.setenv("TAUTEN_CACHE", str(tmp_path))
    made = []

    def make(path):
        made.append(path)
        path.write_text("half")
        if len(made) == 1:
            raise RuntimeError("interrupted")
        path.write_text("whole")

    try:
        cached("file", {"seed": 1}, make)
    except RuntimeError:
        assert [path.name for path in tmp_path.rglob("*file")] == []
    paths = [cached("file", {"seed": 1}, make) for _ in range(2)]

    assert len(made) == 2
    assert [path.read_text() for path in paths] == ["whole", "whole"]
    assert cached("file", {"seed": 2}, make) != paths[0]
