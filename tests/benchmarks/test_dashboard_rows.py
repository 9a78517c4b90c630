"""What the dashboard's benchmark makes of what it measured."""

from benchmarks.dashboard import PAINT_S, SCRIPT_BYTES, rows_of
from benchmarks.table import exit_code

QUICK = {
    "painted": PAINT_S,
    "all there": 9.9,
    "sorted": 0.9,
    "picked": 0.9,
    "front alone": 0.9,
    "points": 2000.0,
    "blocked": 0.4,
    "scripts": SCRIPT_BYTES,
}


def test_bars_hold_up_to_their_limits_and_what_has_none_is_reported():
    rows = list(rows_of(QUICK, QUICK))

    assert exit_code(rows) == 0
    assert [row.what for row in rows if row.holds is None] == [
        "points drawn of 100,000",
        "longest time that the page was busy, 100,000 trials",
    ]
    assert {row.what: row.measured for row in rows}["initial scripts, gzipped"] == "450 kB"


def test_a_slow_large_job_fails_its_own_row_alone():
    rows = list(rows_of(QUICK, QUICK | {"sorted": 1.2}))

    assert [row.what for row in rows if row.holds is False] == ["100,000 trials sorted by latency"]
    assert exit_code(rows) == 1
