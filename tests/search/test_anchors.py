import pytest

from search.anchors import anchors, given_anchors
from search.engine import Engine
from search.spec import Budget, JobSpec
from spaces import (
    ActivationFormat,
    Capabilities,
    InvalidSpace,
    InvalidSpec,
    Kernel,
    LayerInfo,
    LayerInventory,
    LayerPolicy,
    Policy,
    Recovery,
    SearchSpace,
    SpaceRequest,
    WeightFormat,
)

INVENTORY = LayerInventory(tuple(LayerInfo(f"l{i}", "conv", (16, 16, 3, 3), 100, 100) for i in range(3)))
TARGET = Capabilities((Kernel("*", 8, 8, "static", "int8"),))
INT8 = LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "static"))


def space(**request):
    return SearchSpace.build(SpaceRequest(**request), {None: INVENTORY}, TARGET)


def test_a_given_policy_is_tried_before_the_uniform_ones():
    given = Policy(layers={"l1": INT8}, recovery=None)
    searched = space(recovery=(None, Recovery()))
    engine = Engine(searched, JobSpec("w", sampler="random", budget=Budget(9), anchors=(given,)))

    first, second = engine.ask(), engine.ask()

    assert (first.policy, first.origin) == (given, "anchor")
    assert second.policy == searched.policy(anchors(searched, 9)[0])


def test_a_policy_that_says_nothing_of_recovery_takes_the_first_training_of_the_space():
    searched = space(recovery=(Recovery(3.0), Recovery(1.0)))

    (point,) = given_anchors(searched, (Policy(layers={"l0": INT8}),))

    assert searched.policy(point) == Policy(layers={"l0": INT8}, recovery=Recovery(3.0))


def test_the_same_policy_is_tried_once():
    searched = space()
    uniform = searched.policy(anchors(searched, 9)[0])
    engine = Engine(searched, JobSpec("w", sampler="random", budget=Budget(9), anchors=(uniform, uniform)))

    tried = [engine.ask().policy.digest for _ in range(3)]

    assert tried[0] == uniform.digest
    assert len(set(tried)) == 3


def test_a_policy_outside_the_space_is_refused_by_its_place():
    foreign = Policy(layers={"l0": LayerPolicy(weight=WeightFormat(4))})

    with pytest.raises(InvalidSpace) as caught:
        given_anchors(space(), (Policy(), foreign))

    assert caught.value.faults[0].pointer == "/anchors/1"
    assert "is not in the search space; name its bits and ratios in 'space'" in str(caught.value)


def test_anchors_survive_the_jobs_document_and_a_wrong_one_is_named():
    spec = JobSpec("w", anchors=(Policy(layers={"l0": INT8}),))
    document = spec.to_dict()

    assert JobSpec.from_dict(document) == spec
    assert "anchors" not in JobSpec("w").to_dict()
    document["anchors"][0]["layers"]["l0"]["weight"]["bits"] = 9
    with pytest.raises(InvalidSpec) as caught:
        JobSpec.from_dict(document)
    assert caught.value.faults[0].pointer == "/anchors/0/layers/l0/weight/bits"
