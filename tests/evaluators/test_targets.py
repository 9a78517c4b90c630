import pytest
import yaml

from evaluators.targets import (
    find_target,
    fingerprint,
    list_targets,
    read_target,
    reduces_range,
    saturates_int8,
)
from evaluators.targets.target import SHIPPED, Target
from spaces import InvalidTarget, UnknownName


def test_shipped_targets_survive_a_round_trip():
    for target in list_targets().values():
        assert Target.from_dict(target.to_dict()) == target


def test_the_default_target_runs_int8_and_rounds_channels_to_eight():
    target = find_target("local-cpu")

    assert target.capabilities.channel_multiple == 8
    assert {kernel.executed_as for kernel in target.capabilities.kernels} == {
        "int8", "int8-dynamic", "int8-weight", "int4-weight"
    }  # fmt: skip
    assert (target.threads, target.batch, target.kind) == (1, 1, "measured")
    assert set(target.sources) == {"channel_multiple", "kernels", "reduce_range"}


def test_an_unknown_target_is_named_with_the_known_ones():
    with pytest.raises(UnknownName, match="unknown target 'toaster'; choose one of: local-cpu"):
        find_target("toaster")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"kind": "imagined"}, "/kind"),
        ({"runtime": {"backend": "abacus"}}, "/runtime/backend"),
        ({"workload": {"threads": 0}}, "/workload/threads"),
        ({"channel_multiple": 0}, "/channel_multiple"),
        ({"reduce_range": "perhaps"}, "/reduce_range"),
        ({"kernels": [{"op": "conv"}]}, "/kernels/0"),
        ({"colour": "red"}, "/colour"),
        ({"name": None}, "/name"),
    ],
)
def test_a_target_that_is_wrong_names_file_and_field(tmp_path, change, pointer):
    document = yaml.safe_load((SHIPPED / "local-cpu.yaml").read_text()) | change
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document))

    with pytest.raises(InvalidTarget) as caught:
        read_target(path)

    assert caught.value.faults[0].pointer.startswith(pointer)
    assert "mine.yaml" in str(caught.value)


def test_a_file_that_is_no_yaml_is_named(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("{unclosed")

    with pytest.raises(InvalidTarget, match=r"mine\.yaml is not YAML"):
        read_target(path)


def test_the_range_is_reduced_where_this_cpu_saturates_unless_the_target_decides():
    target = find_target("local-cpu")
    decided = Target.from_dict(target.to_dict() | {"reduce_range": True})

    assert reduces_range(target) == saturates_int8()
    assert reduces_range(decided)


def test_the_fingerprint_says_what_a_number_depends_on():
    found = fingerprint(find_target("local-cpu"))

    assert found["runtime"].startswith("onnxruntime 1.")
    assert (found["threads"], found["batch"]) == (1, 1)
    assert found == fingerprint(find_target("local-cpu"))
