from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.modelled.graph_costs import KernelCost
from evaluators.modelled.roofline import Roofline
from evaluators.targets import Target, find_target
from spaces import InvalidTarget
from tests.strategies import PROPERTY

SOURCE = {"kind": "derived", "source": "a test"}
BOARD = {
    "name": "board",
    "kind": "modelled",
    "runtime": {"backend": "onnxruntime"},
    "peak_ops": {"float32": 1e9, "int8": 4e9},
    "efficiency": {"*": 0.5, "other": 0.25, "conv/int8": 0.8},
    "memory": {"bandwidth_bytes_s": 1e8},
    "overhead_us": {"*": 3.0, "call": 10.0},
    "channel_multiple": 8,
    "kernels": [
        {"op": "conv", "weight_bits": 8, "activation_bits": 8, "mode": "static", "executed_as": "int8"}
    ],
    "sparsity": [{"pattern": "2:4", "ops": ["conv"], "dtypes": ["int8"], "speedup": 2}],
    "energy_pj": {"mac": {"float32": 4.0, "int8": 0.5}, "byte": 10.0},
    "sources": dict.fromkeys(
        (
            "peak_ops",
            "efficiency",
            "memory",
            "overhead_us",
            "channel_multiple",
            "kernels",
            "sparsity",
            "energy_pj",
        ),
        SOURCE,
    ),
}


def board(**changes):
    return Roofline(Target.from_dict(BOARD | changes))


def kernel(op="conv", bits=32, macs=1e6, channels=(16, 16), weight_bytes=0.0, moved_bytes=0.0, **rest):
    return KernelCost("layer", op, bits, bits, macs, channels, weight_bytes, moved_bytes, **rest)


def test_a_kernel_takes_the_longer_of_computing_and_moving_and_its_overhead():
    computing = kernel(moved_bytes=1e3)
    moving = kernel(macs=1e3, moved_bytes=1e6)

    # 2e6 operations at 1e9 * 0.5 a second are 4 ms; 1e6 bytes at 1e8 a second are 10 ms
    assert board().latency_ms([computing]) == pytest.approx(4.0 + 0.003 + 0.010)
    assert board().latency_ms([moving]) == pytest.approx(10.0 + 0.003 + 0.010)
    assert board().latency_ms([computing, moving]) == pytest.approx(14.0 + 0.006 + 0.010)


def test_what_only_moves_has_an_efficiency_of_the_bandwidth():
    copying = kernel("other", macs=0.0, channels=(0, 0), moved_bytes=1e6)

    assert board().latency_ms([copying]) == pytest.approx(10.0 / 0.25 + 0.013)


def test_the_most_specific_efficiency_holds():
    assert board().latency_ms([kernel(bits=8)]) == pytest.approx(2e6 / (4e9 * 0.8) * 1e3 + 0.013)
    assert board().latency_ms([kernel("linear", bits=8)]) == pytest.approx(2e6 / (4e9 * 0.5) * 1e3 + 0.013)
    # a convolution of one point is a convolution where it has no figure of its own
    assert board().latency_ms([kernel("pointwise-conv", bits=8)]) == board().latency_ms([kernel(bits=8)])


def test_channels_are_rounded_up_to_what_the_target_takes_at_once():
    whole, odd = kernel(macs=1e6, channels=(16, 16)), kernel(macs=1e6 * 9 / 16, channels=(9, 16))

    assert board().latency_ms([odd]) == pytest.approx(board().latency_ms([whole]))


def test_blocks_of_a_kernel_are_whole_in_outputs_and_inputs():
    blocks = board(channel_block={"float32": 32}, sources=BOARD["sources"] | {"channel_block": SOURCE})
    whole, odd = kernel(channels=(32, 32)), kernel(macs=1e6 * (24 / 32) * (20 / 32), channels=(24, 20))
    first = kernel(macs=1e6 / 32, channels=(32, 1))

    assert blocks.latency_ms([odd]) == pytest.approx(blocks.latency_ms([whole]))
    assert blocks.latency_ms([first]) - 0.013 == pytest.approx((blocks.latency_ms([whole]) - 0.013) / 32)
    # what no block is named for is rounded as it was
    assert blocks.latency_ms([kernel(bits=8)]) == board().latency_ms([kernel(bits=8)])


def test_a_product_moves_its_inputs_once_a_panel_its_weights_and_its_outputs():
    product = kernel(macs=10 * 144 * 72.0, channels=(72, 16), rows=10.0)

    assert board().times([product])[0].traffic == (10 * 144 * 2, 72 * 144, 10 * 72)
    assert board().times([kernel("depthwise-conv", macs=10 * 9 * 72.0, channels=(72, 1), rows=10.0)])[
        0
    ].traffic == (0, 72 * 9, 10 * 72)
    assert board().times([kernel("other", macs=0.0, channels=(0, 0))])[0].traffic == (0, 0, 0)


def test_traffic_takes_time_on_a_calibrated_target_alone():
    product = kernel(macs=10 * 144 * 72.0, channels=(72, 16), rows=10.0)
    fitted = {
        "efficiency": BOARD["efficiency"],
        "overhead_us": BOARD["overhead_us"],
        "traffic_ns": {"conv/float32": {"inputs": 2.0, "weights": 3.0, "outputs": 5.0}},
        "mape": 0.02,
        "tau": 0.98,
        "error_95": 0.05,
        "samples": 20,
    }

    more = board(calibration=fitted).latency_ms([product]) - board().latency_ms([product])

    assert more == pytest.approx((2 * 2880 + 3 * 10368 + 5 * 720) / 1e6)


def test_a_pattern_doubles_the_rate_where_the_target_skips_it_and_only_there():
    dense = board().latency_ms([kernel(bits=8)]) - 0.013

    assert board().latency_ms([kernel(bits=8, patterns=("2:4",))]) - 0.013 == pytest.approx(dense / 2)
    for other in (
        kernel(bits=8, patterns=("1:4",)),
        kernel(bits=8, density=0.1),
        kernel("linear", bits=8, patterns=("2:4",)),
        kernel(bits=32, patterns=("2:4",)),
    ):
        without = replace(other, patterns=(), density=1.0)
        assert board().latency_ms([other]) == board().latency_ms([without])


def test_single_zeros_count_where_a_target_skips_them_and_no_more_than_there_are():
    skipping = board(sparsity=[{"pattern": "weight", "ops": ["conv"], "dtypes": ["float32"], "speedup": 4}])
    dense = skipping.latency_ms([kernel()]) - 0.013

    assert skipping.latency_ms([kernel(density=0.5)]) - 0.013 == pytest.approx(dense / 2)
    assert skipping.latency_ms([kernel(density=0.01)]) - 0.013 == pytest.approx(dense / 4)


def test_a_model_that_fits_the_cache_streams_from_it():
    memory = {"bandwidth_bytes_s": 1e8, "cache_bytes": 1e6, "cache_bandwidth_bytes_s": 1e9}
    small, large = (kernel(macs=1e3, weight_bytes=size) for size in (1e6, 1.1e6))

    assert board(memory=memory).latency_ms([small]) == pytest.approx(1.0 + 0.013)
    assert board(memory=memory).latency_ms([large]) == pytest.approx(11.0 + 0.013)


def test_energy_is_that_of_multiplications_and_of_bytes():
    kernels = [kernel(macs=1e6, weight_bytes=100.0, moved_bytes=900.0), kernel(bits=8, macs=2e6)]

    # (4e6 + 1e3 * 10 + 0.5 * 2e6) pJ
    assert board().energy_mj(kernels) == pytest.approx(5.01e6 * 1e-9)
    assert Roofline(find_target("a100")).energy_mj(kernels) is None


def test_four_bits_run_in_eight_where_there_is_no_rate_for_four():
    four = kernel(bits=4)

    assert board().times([four])[0].dtype == "int8"
    assert Roofline(find_target("a100")).times([four])[0].dtype == "int4"
    assert Roofline(find_target("a100")).times([kernel(bits=16)])[0].dtype == "float16"


def test_a_measured_target_has_no_figures_to_compute_from():
    with pytest.raises(InvalidTarget, match="'local-cpu' has no figures"):
        Roofline(find_target("local-cpu"))


work = st.floats(1, 1e9)
channels = st.tuples(st.integers(1, 512), st.integers(1, 512))
kernels = st.builds(
    kernel, st.sampled_from(("conv", "linear", "depthwise-conv")), st.sampled_from((8, 32)), work, channels,
    st.floats(0, 1e8), st.floats(0, 1e8),
)  # fmt: skip


@PROPERTY
@given(st.lists(kernels, min_size=1, max_size=5), st.integers(0, 4), st.floats(1, 10))
def test_more_work_never_takes_less_time_or_energy(costs, index, factor):
    index %= len(costs)
    more = [*costs]
    more[index] = replace(costs[index], macs=costs[index].macs * factor)
    bytes_more = [*costs]
    bytes_more[index] = replace(costs[index], moved_bytes=costs[index].moved_bytes * factor)

    assert board().latency_ms(more) >= board().latency_ms(costs)
    assert board().latency_ms(bytes_more) >= board().latency_ms(costs)
    assert board().energy_mj(more) >= board().energy_mj(costs)
    assert board().latency_ms(costs) == pytest.approx(
        sum(board().latency_ms([cost]) - 0.010 for cost in costs) + 0.010
    )
