import pickle

import pytest

import spaces
from spaces import (
    Fault,
    InvalidPolicy,
    InvalidSpace,
    InvalidSpec,
    InvalidValue,
    LeaseLost,
    MissingFile,
    RemoteError,
    StorageError,
    TautenError,
    UnknownName,
)


def test_all_names_are_exported_sorted_and_exist():
    assert spaces.__all__ == sorted(
        spaces.__all__, key=lambda name: (not name.isupper(), name.islower(), name)
    )
    assert all(hasattr(spaces, name) for name in spaces.__all__)


@pytest.mark.parametrize(
    "error", [InvalidPolicy, InvalidSpace, InvalidSpec, UnknownName, LeaseLost, MissingFile, RemoteError]
)
def test_every_error_has_the_one_root(error):
    assert issubclass(error, TautenError)
    assert issubclass(LeaseLost, StorageError)
    assert issubclass(MissingFile, StorageError)


def test_a_message_names_every_fault_with_its_pointer_unless_it_is_the_whole_document():
    error = InvalidValue([Fault("/a", "is wrong"), Fault("", "is empty")])

    assert str(error) == "/a: is wrong; is empty"


def test_an_error_for_one_field_keeps_its_class():
    error = InvalidSpec.at("/seed", "is odd")

    assert isinstance(error, InvalidSpec)
    assert error.faults == (Fault("/seed", "is odd"),)


def test_faults_move_below_the_place_of_their_document():
    error = InvalidValue([Fault("/ratio", "x"), Fault("", "y")])

    assert error.below("/layers/a") == (Fault("/layers/a/ratio", "x"), Fault("/layers/a", "y"))


def test_an_unknown_name_lists_the_choices_in_order():
    assert str(UnknownName("target", "gpu", ["b", "a"])) == "unknown target 'gpu'; choose one of: a, b"
    assert str(UnknownName("job", "x")) == "unknown job 'x'"


@pytest.mark.parametrize(
    "error",
    [
        InvalidPolicy([Fault("/a", "x"), Fault("/b", "y")]),
        UnknownName("target", "gpu", ["cpu"]),
        RemoteError("no answer", 503),
        LeaseLost("taken over"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_cross_processes_with_their_facts(error):
    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
