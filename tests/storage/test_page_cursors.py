import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces import InvalidValue
from storage import Page
from storage.pages import decode, encode

kinds = st.sampled_from(("job", "trial"))


@given(kinds, st.integers(0, 10**17))
def test_a_cursor_comes_back_as_what_it_stands_for(kind, number):
    cursor = encode(kind, number)
    assert decode(kind, cursor) == number
    assert cursor.replace("-", "").replace("_", "").isalnum()


@given(
    kinds,
    st.text() | st.text("YWm9iOp06MTIzdHJ-_=", max_size=12).filter(lambda text: not text.startswith("am9iO")),
)
def test_any_other_text_is_refused_at_the_cursor(kind, text):
    with pytest.raises(InvalidValue) as caught:
        decode(kind, text)
    assert [fault.pointer for fault in caught.value.faults] == ["/cursor"]


@given(st.integers(0, 10**17))
def test_a_cursor_of_another_list_is_refused(number):
    with pytest.raises(InvalidValue):
        decode("job", encode("trial", number))


@given(st.lists(st.integers(0, 50), unique=True), st.integers(1, 10))
def test_pages_hold_every_item_once(numbers, limit):
    rows, seen, cursor = sorted(numbers), [], None
    while True:
        after = decode("trial", cursor)
        rest = [row for row in rows if after is None or row > after]
        page = Page.cut(rest[: limit + 1], limit, "trial", int, str)
        seen += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
        assert len(page.items) == limit
    assert seen == [str(row) for row in rows]
