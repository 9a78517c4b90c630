import json

import pytest
import yaml

from service.documents import parse_document, read_document, read_text
from spaces import InvalidRecipe, InvalidSpec


@pytest.mark.parametrize("number", [1e-5, 1e22, 0.1, -3, 2**62])
def test_numbers_are_read_as_they_were_written(tmp_path, number):
    (tmp_path / "a.json").write_text(json.dumps({"number": number}))
    (tmp_path / "a.yaml").write_text(yaml.safe_dump({"number": number}))

    assert read_document(tmp_path / "a.json") == {"number": number}
    assert read_document(tmp_path / "a.yaml") == {"number": number}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe\x00", "is not text in UTF-8"),
        (b"[" * 50_000 + b"]" * 50_000, "nested too deeply"),
        (b"{a: 1", "is not YAML"),
        (b"{a: !!python/object/apply:os.getpid []}", "could not determine a constructor"),
        (b"a: 2020-13-45", "month must be in 1..12"),
    ],
)
def test_a_file_that_cannot_be_understood_is_named_in_one_line(tmp_path, content, says):
    path = tmp_path / "spec.yaml"
    path.write_bytes(content)

    with pytest.raises(InvalidSpec, match=says) as caught:
        read_document(path)

    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named_with_the_cause(tmp_path):
    with pytest.raises(InvalidRecipe, match=r"nothing.yaml cannot be read: No such file or directory$"):
        read_text(tmp_path / "nothing.yaml", InvalidRecipe)
    with pytest.raises(InvalidSpec, match=r"cannot be read: Is a directory$"):
        read_document(tmp_path)


def test_what_came_from_elsewhere_is_named_by_its_source():
    with pytest.raises(InvalidSpec, match=r"^standard input, which is not JSON, "):
        parse_document("{", "standard input")
