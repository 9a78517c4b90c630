import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.profile import PROFILES, SCHEMA, Profile, monotone, offers, profile_key
from spaces import InvalidValue
from tests.search.spaces import measured_profile, two_student_space
from tests.strategies import PROPERTY

PROVENANCE = {"workload": {"name": "w", "model": "sha256:a", "data": "sha256:b"}, "target": {"name": "t"}}


def test_json_brings_a_profile_back():
    profile = measured_profile(two_student_space())

    document = json.loads(json.dumps(profile.to_dict()))

    assert document["schema"] == SCHEMA
    assert Profile.from_dict(document) == profile


def test_a_profile_of_another_schema_or_with_a_loss_that_is_no_number_is_refused():
    document = measured_profile(two_student_space()).to_dict()
    place = next(iter(document["students"][0]["ratios"]))
    document["students"][0]["ratios"][place][1] = float("nan")

    with pytest.raises(InvalidValue) as caught:
        Profile.from_dict(document)
    assert caught.value.faults[0].pointer == f"/students/0/ratios/{place}/values/1"
    with pytest.raises(InvalidValue, match="/schema"):
        Profile.from_dict({**document, "schema": "tauten.profile/9"})


@PROPERTY
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=8), st.floats(1e-6, 1))
def test_read_losses_start_at_zero_rise_and_never_lie_below_what_was_measured(values, least):
    rising = monotone(tuple(values), least)

    assert rising[0] == 0
    assert (np.diff(rising) > 0).all()
    assert (rising >= np.array(values) - values[0] - 1e-9).all()


def test_every_axis_has_losses_in_the_order_of_the_space():
    space = two_student_space()
    profile = measured_profile(space)

    for student, measured in zip(space.students, profile.students, strict=True):
        losses = measured.losses(student)
        assert [len(row) for row in losses] == [len(axis.choices) for axis in student.axes]
        assert all(row[0] == 0 and (np.diff(row) >= 0).all() for row in losses)


def test_the_key_tells_apart_whatever_the_measurement_depends_on():
    space = two_student_space()
    keys = [profile_key(space, PROVENANCE, kind, 0) for kind in PROFILES]
    keys += [
        profile_key(space, PROVENANCE, "small", 1),
        profile_key(two_student_space(5), PROVENANCE, "small", 0),
        profile_key(space, {**PROVENANCE, "target": {"name": "u"}}, "small", 0),
        profile_key(space, {**PROVENANCE, "workload": {"name": "w", "model": "sha256:c"}}, "small", 0),
    ]

    assert len(set(keys)) == len(keys)
    assert profile_key(space, {**PROVENANCE, "reference": {}}, "small", 0) == keys[0]


def test_what_is_to_be_measured_is_plain_json():
    assert json.loads(json.dumps(offers(two_student_space()))) == offers(two_student_space())


def test_the_cost_is_told_in_trials():
    assert measured_profile(two_student_space()).trial_equivalents(2.0) == 3.0
