import optuna
import pytest

from search.mirror import MARK, mirror
from search.trial import Trial, TrialState
from spaces import (
    ActivationFormat,
    LayerPolicy,
    Metric,
    Policy,
    Prune,
    Recovery,
    StorageError,
    Student,
    WeightFormat,
)

OBJECTIVES = ("accuracy", "size_bytes")
INT8 = LayerPolicy(Prune(0.5), WeightFormat(8), ActivationFormat(8, "static"))


def document(number, state=TrialState.COMPLETED, policy=None, **more):
    metrics = {"accuracy": Metric(0.9, "fraction"), "size_bytes": Metric(100 - number, "byte")}
    policy = policy or Policy(Student(width=0.5), {"stem": INT8}, Recovery(2.0))
    is_scored = state is TrialState.COMPLETED
    return Trial(
        number, policy, {}, "tpe", state=state, metrics=metrics if is_scored else {}, **more
    ).to_dict()


@pytest.fixture
def storage(tmp_path):
    return f"sqlite:///{tmp_path / 'mirror.db'}"


def read(storage, name):
    return optuna.load_study(study_name=name, storage=storage)


def test_a_study_has_the_trials_with_values_parameters_and_states(storage):
    trials = [
        document(0, violates={"accuracy_drop": 0.02}),
        document(1, TrialState.GATED, reason="could not reach the front"),
        document(2, TrialState.INFEASIBLE),
        document(3, policy=Policy()),
        document(4, TrialState.RUNNING),
    ]

    name, added = mirror("j", OBJECTIVES, trials, storage)
    study = read(storage, name)

    assert added == 4
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "FAIL", "COMPLETE"]
    assert study.directions == [optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE]
    assert study.metric_names == list(OBJECTIVES)
    assert study.trials[0].values == [0.9, 100]
    assert study.trials[0].params == {
        "student depth": 1.0, "student width": 0.5, "recovery epochs": 2.0,
        "stem ratio": 0.5, "stem weight bits": 8, "stem activation bits": 8,
    }  # fmt: skip
    assert study.trials[3].params["stem weight bits"] == 32
    assert study.trials[1].user_attrs["reason"] == "could not reach the front"
    assert {trial.number for trial in study.best_trials} <= {3}  # the first breaks its constraint


def test_a_mirror_that_is_made_again_gains_what_is_new_and_nothing_twice(storage):
    mirror("j", OBJECTIVES, [document(0)], storage)
    grown = [document(0), document(1, policy=Policy(None, {"head": INT8}, Recovery(9.0)))]

    name, added = mirror("j", OBJECTIVES, grown, storage)

    assert added == 1
    assert [trial.user_attrs[MARK] for trial in read(storage, name).trials] == [0, 1]
    assert mirror("j", OBJECTIVES, grown, storage) == (name, 0)


def test_jobs_have_studies_of_their_own(storage):
    names = {mirror(job, OBJECTIVES, [document(0)], storage)[0] for job in "ab"}

    assert names == {"tauten-a", "tauten-b"}


def test_a_storage_that_cannot_be_opened_is_told_of():
    with pytest.raises(StorageError, match="mirror cannot be written"):
        mirror("j", OBJECTIVES, [document(0)], "nowhere:///x")
