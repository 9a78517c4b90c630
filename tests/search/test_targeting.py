import pytest

from evaluators.targets import find_target
from search.source import Source
from search.spec import Bound, JobSpec
from search.targeting import aimed, retargeted
from spaces import InvalidSpace, InvalidSpec


def job(**changes):
    return JobSpec.from_dict({"workload": "digits-cnn", **changes})


def test_what_must_fit_a_board_is_a_constraint_of_every_job():
    limits = find_target("stm32h743").limits
    spec = aimed(job(constraints={"accuracy_drop": {"max": 0.01}}), find_target("stm32h743"))

    assert dict(spec.constraints) == {
        "accuracy_drop": Bound(high=0.01),
        "packed_size_bytes": Bound(high=limits["packed_size_bytes"]),
        "peak_memory_bytes": Bound(high=limits["peak_memory_bytes"]),
    }
    assert aimed(spec, find_target("stm32h743")) == spec


def test_of_two_limits_the_tighter_holds():
    tight = aimed(job(constraints={"peak_memory_bytes": {"max": 1000}}), find_target("stm32h743"))
    loose = aimed(job(constraints={"peak_memory_bytes": {"max": 1e12}}), find_target("stm32h743"))

    assert tight.constraints["peak_memory_bytes"].high == 1000
    assert loose.constraints["peak_memory_bytes"].high == find_target("stm32h743").limits["peak_memory_bytes"]


def test_a_least_value_above_the_limit_is_refused():
    with pytest.raises(InvalidSpec, match="/constraints/peak_memory_bytes/min: no value lies between"):
        aimed(job(constraints={"peak_memory_bytes": {"min": 1e12}}), find_target("stm32h743"))


def test_a_target_without_limits_leaves_a_job_as_it_is():
    spec = job()

    assert aimed(spec, find_target("local-cpu")) is spec


def test_energy_is_asked_for_only_where_it_is_declared():
    spec = job(objectives=["accuracy", "energy_mj"], constraints={"energy_mj": {"max": 1}})

    with pytest.raises(InvalidSpec) as caught:
        aimed(spec, find_target("local-cpu"))

    assert [fault.pointer for fault in caught.value.faults] == ["/objectives/1", "/constraints/energy_mj"]
    assert "declares no energy_pj" in str(caught.value)
    assert aimed(spec, find_target("stm32h743")).objectives == ("accuracy", "energy_mj")


def test_what_the_target_cannot_run_is_refused_where_it_was_asked_for():
    spec = job(space={"bits": [{"weight": 4, "activation": 4}], "prune": {"granularity": ["2:4"]}})

    with pytest.raises(InvalidSpace) as caught:
        aimed(spec, find_target("raspberry-pi-5"))

    assert [fault.pointer for fault in caught.value.faults] == ["/space/bits/0", "/space/prune/granularity/0"]
    assert aimed(spec, find_target("a100")) == spec


def test_a_retargeted_job_keeps_what_its_user_asked_for_and_changes_targets_limits():
    board = find_target("stm32h743")
    asked = aimed(job(target="stm32h743", constraints={"peak_memory_bytes": {"min": 1000}}), board)
    source = Source("j", "stm32h743", "front", {"deployment": {}})

    spec = retargeted(asked, source, find_target("raspberry-pi-5"), count=7, limits=board.limits)

    assert dict(spec.constraints) == {"peak_memory_bytes": Bound(low=1000)}
    assert (spec.target, spec.budget.trials, spec.source) == ("raspberry-pi-5", 7, source)
    assert JobSpec.from_dict(spec.to_dict()) == spec
    back = retargeted(spec, source, board, count=7, limits={})
    assert dict(back.constraints) == dict(asked.constraints)


def test_a_space_that_the_new_target_cannot_run_is_no_obstacle():
    int4 = job(space={"bits": [{"weight": 4, "activation": 32}]}, target="a100")
    source = Source("j", "a100", (1,), {"deployment": {}})
    with pytest.raises(InvalidSpace):
        aimed(int4, find_target("v100"))
    assert retargeted(int4, source, find_target("v100"), count=1, limits={}).target == "v100"
