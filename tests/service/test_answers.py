from service.answers import Answers


def test_an_answer_is_made_once_for_each_key():
    made = []
    answers = Answers()

    def make(text):
        made.append(text)
        return text.encode()

    assert [answers.get(key, lambda key=key: make(key)) for key in ("a", "b", "a", "b")] == [b"a", b"b"] * 2
    assert made == ["a", "b"]


def test_the_ones_that_were_not_asked_for_lately_make_room():
    answers = Answers(most_bytes=10)
    for key in ("a", "b"):
        answers.get(key, lambda: b"." * 5)
    answers.get("a", lambda: b"anew")
    answers.get("c", lambda: b"." * 5)

    assert answers.get("a", lambda: b"anew") == b"....."
    assert answers.get("b", lambda: b"anew") == b"anew"


def test_one_that_is_too_large_is_made_each_time_and_displaces_nothing():
    answers = Answers(most_bytes=10)
    answers.get("a", lambda: b".")
    assert len(answers.get("large", lambda: b"." * 11)) == 11
    assert answers.get("large", lambda: b"anew") == b"anew"
    assert answers.get("a", lambda: b"anew") == b"."
