import re

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluators.targets import (
    check_host,
    find_target,
    fingerprint,
    list_targets,
    read_target,
    reduces_range,
    saturates_int8,
)
from evaluators.targets.catalogue import SHIPPED, parse_yaml
from evaluators.targets.sources import KINDS
from evaluators.targets.target import Target
from spaces import InvalidTarget, MeasurementError, UnknownName
from tests.strategies import PROPERTY, attempted, damaged, damaged_texts


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
    with pytest.raises(UnknownName, match=r"unknown target 'toaster'; choose one of: a100, .*local-cpu"):
        find_target("toaster")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"kind": "imagined"}, "/kind"),
        ({"runtime": {"backend": "abacus"}}, "/runtime/backend"),
        ({"workload": {"threads": 0}}, "/workload/threads"),
        ({"workload": {"pin": "hard"}}, "/workload/pin"),
        ({"channel_multiple": 0}, "/channel_multiple"),
        ({"reduce_range": "perhaps"}, "/reduce_range"),
        ({"kernels": [{"op": "conv"}]}, "/kernels/0"),
        ({"colour": "red"}, "/colour"),
        ({"name": None}, "/name"),
    ],
)
def test_a_target_that_is_wrong_names_file_and_field(tmp_path, change, pointer):
    document = parse_yaml((SHIPPED / "local-cpu.yaml").read_text()) | change
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


def test_the_default_targets_siblings_differ_in_what_their_names_say():
    default, batched, other = (find_target(f"local-cpu{ending}") for ending in ("", "-batch8", "-openvino"))

    assert (batched.batch, batched.backend) == (8, default.backend)
    assert batched.capabilities == default.capabilities
    assert (other.batch, other.backend, other.backend_options) == (1, "openvino", {"precision": "f32"})
    assert {kernel.executed_as for kernel in other.capabilities.kernels} == {"int8"}


def test_the_fingerprint_names_the_runtime_that_the_target_has():
    assert fingerprint(find_target("local-cpu-openvino"))["runtime"].startswith("openvino 20")


MODELLED = (
    "a100",
    "ascend-310",
    "h100",
    "iphone-12",
    "jetson-agx-orin",
    "jetson-agx-xavier",
    "raspberry-pi-5",
    "stm32h743",
    "tpu-v4",
    "v100",
    "x86-vnni",
)


def document_of(name):
    return find_target(name).to_dict()


def changed(name, way, value):
    """A target's document with one field set, or left out where the value is ``...``."""
    document = document_of(name)
    part = document
    for key in way[:-1]:
        part = part[key]
    if value is ...:
        del part[way[-1]]
    else:
        part[way[-1]] = value
    return document


def faults_of(document):
    with pytest.raises(InvalidTarget) as caught:
        Target.from_dict(document)
    return {fault.pointer: fault.detail for fault in caught.value.faults}


@pytest.mark.parametrize("name", MODELLED)
def test_each_modelled_target_says_of_every_figure_where_it_is_from_and_of_what_kind(name):
    target = find_target(name)

    assert target.is_modelled
    assert target.calibration is None
    assert {source.kind for source in target.sources.values()} <= set(KINDS)
    for field in ("peak_ops", "efficiency", "memory", "overhead_us", "kernels", "channel_multiple"):
        assert any(key.split("/")[0] == field for key in target.sources), field


@pytest.mark.parametrize(
    ("way", "value", "pointer", "says"),
    [
        (("memory", "bandwidth_bytes_s"), -1e9, "/memory/bandwidth_bytes_s", "must not be negative"),
        (("memory", "bandwidth_bytes_s"), 0, "/memory/bandwidth_bytes_s", "must be above 0"),
        (("memory", "bandwidth_bytes_s"), "fast", "/memory/bandwidth_bytes_s", "must be a finite number"),
        (("memory", "cache_bytes"), ..., "/memory", "needs both cache_bytes and cache_bandwidth_bytes_s"),
        (("memory",), ..., "/memory", "is required of a modelled target"),
        (("peak_ops", "float8"), 1.0, "/peak_ops/float8", "is not one of: float32, float16"),
        (("peak_ops", "float32"), ..., "/peak_ops/float32", "is required"),
        (("efficiency", "convolution"), 0.5, "/efficiency/convolution", "is not one of"),
        (("efficiency", "conv"), 1.5, "/efficiency/conv", "must be at most 1"),
        (("efficiency", "*"), ..., "/efficiency/*", "is required"),
        (("overhead_us", "*"), -1, "/overhead_us/*", "must not be negative"),
        (("workload", "threads"), 0, "/workload/threads", "must be at least 1"),
        (("workload", "batch"), 0, "/workload/batch", "must be at least 1"),
        (("kernels", 0, "op"), "convolve", "/kernels/0/op", "'convolve' is not one of: \\*, conv"),
        (("kernels", 0, "weight_bits"), 9, "/kernels/0/weight_bits", "must be one of"),
        (("device",), "toaster", "/device", "is not one of: cpu, phone"),
        (("sources", "memory/bandwidth_bytes_s"), ..., "/memory/bandwidth_bytes_s", "has no source; add"),
        (("sources", "efficiency"), ..., "/efficiency/conv", "has no source"),
        (("sources", "efficiency", "kind"), "guess", "/sources/efficiency/kind", "is not one of: datasheet"),
        (("sources", "efficiency", "source"), " ", "/sources/efficiency/source", "is empty"),
        (("sources", "efficiency"), "a book", "/sources/efficiency", "must say of what kind it is"),
        (("sources", "colour"), {"kind": "measured", "source": "x"}, "/sources/colour", "of no figure"),
        (("limits",), {"weight_kg": 1}, "/limits/weight_kg", "is not one of: size_bytes"),
        (("energy_pj",), {"mac": {"int8": 1}, "byte": 1}, "/energy_pj/mac", "has no float16, which"),
    ],
)
def test_a_wrong_figure_is_refused_where_it_stands_with_the_remedy(way, value, pointer, says):
    faults = faults_of(changed("raspberry-pi-5", way, value))

    assert pointer in faults
    assert re.search(says, faults[pointer])


def test_a_kernel_without_a_rate_for_what_it_computes_is_refused():
    faults = faults_of(changed("raspberry-pi-5", ("peak_ops", "int8"), ...))

    assert "computes in int8, and peak_ops has no int8" in faults["/kernels/0"]


@pytest.mark.parametrize(
    ("sparsity", "pointer"),
    [
        ({"pattern": "4:2", "ops": ["conv"], "dtypes": ["int8"], "speedup": 2}, "/sparsity/0/pattern"),
        ({"pattern": "2:4", "ops": ["convolve"], "dtypes": ["int8"], "speedup": 2}, "/sparsity/0/ops/0"),
        ({"pattern": "2:4", "ops": ["conv"], "dtypes": ["int9"], "speedup": 2}, "/sparsity/0/dtypes/0"),
        ({"pattern": "2:4", "ops": ["conv"], "dtypes": ["int8"], "speedup": 0.5}, "/sparsity/0/speedup"),
    ],
)
def test_a_wrong_pattern_of_zeros_is_refused_where_it_stands(sparsity, pointer):
    assert pointer in faults_of(changed("a100", ("sparsity",), [sparsity]))


def test_targets_of_a_directory_stand_beside_the_shipped_ones(tmp_path):
    document = document_of("raspberry-pi-5") | {"name": "my-board"}
    (tmp_path / "board.yml").write_text(yaml.safe_dump(document))
    (tmp_path / "notes.txt").write_text("not a target")

    found = list_targets(tmp_path)

    assert set(found) == {*list_targets(), "my-board"}
    assert find_target("my-board", tmp_path) == Target.from_dict(document)


def test_two_targets_of_a_name_are_refused_with_both_files(tmp_path):
    (tmp_path / "board.yaml").write_text(yaml.safe_dump(document_of("a100")))

    with pytest.raises(InvalidTarget, match=r"'a100' is the name of .*a100\.yaml too.*board\.yaml"):
        list_targets(tmp_path)


def test_a_missing_directory_of_targets_is_named(tmp_path):
    with pytest.raises(InvalidTarget, match="nowhere does not exist"):
        list_targets(tmp_path / "nowhere")


def test_a_path_is_a_target_only_where_files_are_allowed(tmp_path):
    path = tmp_path / "board.yaml"
    path.write_text(yaml.safe_dump(document_of("a100") | {"name": "board"}))

    assert find_target(str(path), allow_files=True).name == "board"
    with pytest.raises(UnknownName):
        find_target(str(path))


@pytest.mark.parametrize("text", ["{unclosed", "a: !!python/object:os.system {}", "- ["])
def test_a_file_that_is_no_plain_yaml_is_refused_by_name(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)

    with pytest.raises(InvalidTarget, match=r"mine\.yaml"):
        read_target(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidTarget, match=r"gone\.yaml cannot be read"):
        read_target(tmp_path / "gone.yaml")


def test_numbers_with_exponents_are_numbers_as_in_json():
    assert parse_yaml("[1.5e11, 2e3, 1.5e+3, 12, .5e1]") == [1.5e11, 2000.0, 1500.0, 12, 5.0]
    assert parse_yaml("[1.0.0, e5, 3e]") == ["1.0.0", "e5", "3e"]


def test_a_measured_target_is_refused_on_a_host_that_lacks_what_it_requires():
    needs = {"machine": "abacus", "flags": ["avx9000"], "cores": 4096, "system": "CP/M"}
    document = document_of("local-cpu") | {"host_requires": needs}
    target = Target.from_dict(document)

    assert Target.from_dict(target.to_dict()) == target
    with pytest.raises(MeasurementError) as caught:
        check_host(target)
    for word in ("machine abacus", "avx9000", "4096 cores", "system CP/M", "choose another target"):
        assert word in str(caught.value)
    check_host(find_target("local-cpu"))


def test_the_fingerprint_of_a_modelled_target_changes_with_its_figures():
    target = find_target("raspberry-pi-5")
    faster = Target.from_dict(changed("raspberry-pi-5", ("peak_ops", "int8"), 1e12))

    assert fingerprint(target) == fingerprint(find_target("raspberry-pi-5"))
    assert fingerprint(target)["figures"] != fingerprint(faster)["figures"]


SHIPPED_FILES = sorted(SHIPPED.glob("*.yaml"))


@PROPERTY
@given(damaged(st.sampled_from([parse_yaml(path.read_text()) for path in SHIPPED_FILES])))
def test_a_damaged_document_is_a_target_or_its_faults_are_named(document):
    found = attempted(Target.from_dict, document)
    if isinstance(found, Target):
        assert Target.from_dict(found.to_dict()) == found
    else:
        assert isinstance(found, InvalidTarget)


@settings(PROPERTY, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged_texts(st.sampled_from([path.read_text() for path in SHIPPED_FILES])))
def test_a_damaged_file_is_a_target_or_refused_by_name(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    found = attempted(read_target, path)
    if isinstance(found, Target):
        assert Target.from_dict(found.to_dict()) == found
    else:
        assert "mine.yaml" in str(found)
