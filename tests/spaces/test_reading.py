import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces import InvalidSpec, InvalidValue, Reader, escape, shown
from tests.strategies import PROPERTY, documents


def faults(call, *args, **options):
    with pytest.raises(InvalidValue) as caught:
        call(*args, **options)
    return [fault.pointer for fault in caught.value.faults]


@given(st.text())
def test_escaped_keys_are_one_token_and_come_back(key):
    token = escape(key)

    assert "/" not in token
    assert token.replace("~1", "/").replace("~0", "~") == key


@PROPERTY
@given(documents)
def test_any_value_is_shown_briefly(value):
    assert len(shown(value)) < 300
    shown(value).encode()


def test_a_value_that_is_nested_beyond_the_stack_is_shown():
    deep = []
    for _ in range(100_000):
        deep = [deep]

    assert shown(deep) == "a list"


@pytest.mark.parametrize("document", [None, [], "text", 1, True, {1: 2}, {"\ud800": 1}, {"a\0": 1}])
def test_only_objects_whose_keys_are_text_are_read(document):
    assert faults(Reader, document, "/here") == ["/here"]


def test_every_unknown_key_is_named():
    read = Reader({"a": 1, "b/c": 2, "~": 3}, "/x", InvalidSpec)
    read.raw("a")

    with pytest.raises(InvalidSpec, match="known are: a") as caught:
        read.done()

    assert [fault.pointer for fault in caught.value.faults] == ["/x/b~1c", "/x/~0"]


def test_null_and_missing_are_the_same():
    for document in ({}, {"k": None}):
        assert Reader(document).text("k", "t") == "t"
        assert Reader(document).number("k", 1.5) == 1.5
        assert Reader(document).whole("k", 3) == 3
        assert Reader(document).flag("k", True) is True
        assert Reader(document).items("k", lambda item, _: item, (1,)) == (1,)
        assert Reader(document).mapping("k", lambda item, _: item) == {}
        assert Reader(document).optional("k", lambda item, _: item) is None
        assert Reader(document).items_or_none("k", lambda item, _: item) is None
        for name in ("text_or_none", "number_or_none", "whole_or_none", "flag_or_none"):
            read = Reader(document)
            assert getattr(read, name)("k") is None
            read.done()
        for name in ("text", "number", "whole", "required", "texts", "wholes", "numbers"):
            assert faults(getattr(Reader(document), name), "k") == ["/k"]


@pytest.mark.parametrize("value", [True, "1", [1], {}, float("nan"), float("inf"), 10**400, -(10**400)])
def test_only_finite_numbers_are_numbers(value):
    assert faults(Reader({"k": value}).number, "k") == ["/k"]


@pytest.mark.parametrize("value", [True, "1", 1.5, float("nan"), float("inf"), [1], 2**63, -(10**400), 1e300])
def test_only_whole_numbers_of_64_bits_are_whole(value):
    assert faults(Reader({"k": value}).whole, "k") == ["/k"]


def test_a_whole_number_may_be_written_with_a_point():
    value = Reader({"k": 8.0}).whole("k")

    assert value == 8
    assert isinstance(value, int)


@pytest.mark.parametrize("value", [1, None, "\ud800", "a\0b", []])
def test_strings_are_such_that_a_database_can_hold_them(value):
    assert faults(Reader({"k": value}).text, "k") == ["/k"]


def test_bounds_are_part_of_the_message():
    with pytest.raises(InvalidValue, match=r"at least 0 and below 1, not 1\.0"):
        Reader({"k": 1}).number("k", low=0, below=1)
    with pytest.raises(InvalidValue, match=r"at least 0 and at most 5, not 6\.0"):
        Reader({"k": 6}).number("k", low=0, high=5)
    with pytest.raises(InvalidValue, match="at least 1, not 0"):
        Reader({"k": 0}).whole("k", low=1)
    with pytest.raises(InvalidValue, match="'c' is not one of: a, b"):
        Reader({"k": "c"}).text("k", choices=("a", "b"))


@pytest.mark.parametrize("value", ["text", b"bytes", {}, 1, True])
def test_only_lists_are_lists(value):
    assert faults(Reader({"k": value}).texts, "k") == ["/k"]


def test_items_and_entries_are_read_with_their_own_pointers():
    read = Reader({"list": ["a", 1], "map": {"x/y": 2}}, "/p")

    assert faults(read.texts, "list") == ["/p/list/1"]
    assert read.mapping("map", lambda item, pointer: (item, pointer)) == {"x/y": (2, "/p/map/x~1y")}
    assert faults(Reader({"map": {1: 2}}).mapping, "map", lambda item, _: item) == ["/map"]


def test_what_was_not_read_by_name_is_the_rest():
    read = Reader({"a": 1, "b/": 2}, "/p")
    read.raw("a")

    assert read.rest(lambda item, pointer: (item, pointer)) == {"b/": (2, "/p/b~1")}
    read.done()


def test_a_fault_of_the_built_value_is_placed_in_the_document():
    def make(a):
        raise InvalidValue.at("/a", f"{a} is wrong")

    read = Reader({"a": 1}, "/x/0", InvalidSpec)

    with pytest.raises(InvalidSpec, match="1 is wrong") as caught:
        read.build(make, read.whole("a"))

    assert caught.value.faults[0].pointer == "/x/0/a"


def test_nothing_is_built_while_a_key_is_unknown():
    assert faults(Reader({"a": 1}).build, lambda: 1) == ["/a"]
