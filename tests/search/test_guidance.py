import numpy as np
import pytest
from optuna.samplers import RandomSampler

from search.engine import Engine
from search.guidance import Guidance, guided_problem
from search.network_costs import NetworkCosts
from search.samplers.guided.history import Reader
from search.samplers.study import StudySampler
from search.spec import Bound, Budget, JobSpec
from search.trial import Trial, TrialState
from spaces import STUDENT_AXIS, Metric
from tests.search.spaces import inventories, inventory, measured_profile, two_student_space
from tests.search.test_engine import run as play

REFERENCE = {
    "accuracy": Metric(0.95, "fraction"),
    "accuracy_drop": Metric(0.0, "fraction"),
    "size_bytes": Metric(2_400, "byte"),
    "latency_ms": Metric(2.0, "ms"),
    "macs": Metric(21_000, "mac"),
}


def spec(**more):
    return JobSpec("w", objectives=("accuracy", "latency_ms", "size_bytes", "macs"), **more)


def guidance():
    return Guidance(measured_profile(two_student_space()), REFERENCE, inventories())


def costs(names=("size_bytes", "latency_ms", "macs")):
    student = two_student_space().students[0]
    profile = measured_profile(two_student_space()).students[0]
    reference = {name: metric.value for name, metric in REFERENCE.items()}
    return student, NetworkCosts(student, profile.layers, profile.left, names, reference)


def test_an_untouched_model_costs_what_the_reference_does():
    student, network = costs()
    mildest = np.zeros((1, len(student.axes)), dtype=np.int64)

    found = network.fitted(mildest[:0], np.zeros((0, 3)))(mildest)

    assert found[0] == pytest.approx([2_400, 2.0, 21_000])


def test_operations_are_those_of_the_pruned_layers():
    student, network = costs(("macs",))
    point = np.zeros((1, len(student.axes)), dtype=np.int64)
    position = [axis.name for axis in student.axes].index("0/prune:layer2")
    choice = student.axes[position].choices.index(0.5)
    point[0, position] = choice

    found = network.fitted(point[:0], np.zeros((0, 1)))(point)[0, 0]

    assert found == 21_000 - 0.5 * inventory(6).layers[2].macs


def test_results_correct_what_formats_cost():
    student, network = costs(("latency_ms",))
    draw = np.random.default_rng(0)
    sizes = [len(axis.choices) for axis in student.axes]
    points = np.column_stack([draw.integers(size, size=30) for size in sizes])
    is_bits = [axis.name.startswith("0/bits") for axis in student.axes]
    expected = network.fitted(points[:0], np.zeros((0, 1)))(points)[:, 0]
    # on this machine integers are twice as slow as they were thought to be
    integer = points[:, is_bits].sum(axis=1) / sum(is_bits)
    observed = expected * (1 + integer)

    found = network.fitted(points[:20], observed[:20, None])(points[20:])[:, 0]

    def error(values):
        return np.abs(values / observed[20:] - 1).mean()

    assert error(found) < 0.15
    assert error(found) < 0.4 * error(expected[20:])


def test_the_problem_has_a_branch_a_student_with_the_profile_and_exact_costs():
    problem = guided_problem(two_student_space(), spec(), guidance())

    assert [branch.base_loss for branch in problem.branches] == [0.1, 0.1]
    assert (problem.choice, problem.uncertain, problem.maximized) == (STUDENT_AXIS, 0, True)
    assert problem.is_profiled
    assert problem.scales == (2.0, 2_400, 21_000)
    assert problem.best == 0.95


def test_constraints_become_bounds_of_the_objectives():
    bounds = {"accuracy_drop": Bound(high=0.05), "accuracy": Bound(low=0.5), "latency_ms": Bound(high=1.5)}
    problem = guided_problem(two_student_space(), spec(constraints=bounds), guidance())

    assert problem.bound == pytest.approx(0.9)
    assert problem.cost_bounds == (1.5, np.inf, np.inf)


@pytest.mark.parametrize("known", [Guidance(), Guidance(None, REFERENCE, inventories())])
def test_without_a_profile_losses_are_guessed_from_severity(known):
    problem = guided_problem(two_student_space(), spec(), known)

    assert not problem.is_profiled
    for branch in problem.branches:
        assert all((np.diff(losses) > 0).all() for losses in branch.losses)


def test_an_engine_with_a_profile_that_was_rebuilt_proposes_what_the_lost_one_would_have():
    job = JobSpec("w", objectives=("accuracy", "size_bytes"), budget=Budget(30))
    space, known = two_student_space(), guidance()
    undisturbed = play(Engine(space, job, guidance=known), job, 30)

    for cut in (5, 13, 26):
        rest = play(Engine(space, job, undisturbed[:cut], known), job, 30 - cut)
        assert [trial.policy for trial in rest] == [trial.policy for trial in undisturbed[cut:]], cut


def test_gated_policies_are_not_taken_for_failures():
    job = JobSpec("w", objectives=("accuracy", "size_bytes"), budget=Budget(30))
    space = two_student_space()
    tpe = StudySampler(space, job, lambda seed: RandomSampler(seed=seed))
    gated, failed = (
        Trial(number, space.policy(point), point, "guided", state=state)
        for number, (point, state) in enumerate(
            (
                (space.decide(lambda axis: 0), TrialState.GATED),
                (space.decide(lambda axis: min(1, len(axis.choices) - 1)), TrialState.INFEASIBLE),
            )
        )
    )
    for trial in (gated, failed):
        tpe.tell(trial)

    reader = Reader(guided_problem(space, job, guidance()), (1.0, 1.0))
    history = reader.read(tpe.trials, asking=-1)

    assert (len(history.skipped), len(history.failed)) == (1, 1)
    assert len(history.seen) == 2


def test_a_sampler_that_reads_no_profile_has_no_insight():
    job = JobSpec("w", objectives=("accuracy", "size_bytes"), sampler="random", budget=Budget(30))
    engine = Engine(two_student_space(), job, guidance=guidance())

    play(engine, job, 12)

    assert engine.insight is None
