import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces import canonical_json, digest_bytes, digest_of
from tests.strategies import PROPERTY

texts = st.text(max_size=5)
trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(texts, parts, max_size=3),
    max_leaves=8,
)


@PROPERTY
@given(trees)
def test_canonical_json_is_read_back_as_the_same_document(document):
    assert json.loads(canonical_json(document)) == document


@PROPERTY
@given(st.dictionaries(texts, trees), st.randoms())
def test_the_order_of_keys_does_not_matter(document, random):
    keys = list(document)
    random.shuffle(keys)

    assert digest_of({key: document[key] for key in keys}) == digest_of(document)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_json_cannot_say_is_refused(value):
    with pytest.raises(ValueError, match="JSON"):
        canonical_json([value])


def test_a_digest_is_the_sha256_of_the_canonical_text():
    expected = hashlib.sha256(b'{"a":1,"\xc3\xa9":[true,null]}').hexdigest()

    assert digest_of({"é": [True, None], "a": 1}) == f"sha256:{expected}"
    assert digest_bytes(b'{"a":1,"\xc3\xa9":[true,null]}') == f"sha256:{expected}"
