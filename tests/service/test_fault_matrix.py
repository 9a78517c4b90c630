"""Short versions of `benchmarks.faults`: what it promises at length holds for a few strikes of each fault."""

import os

import pytest

from benchmarks.faults.__main__ import Severity, faults, grounds
from benchmarks.faults.outages import full_disk

pytestmark = pytest.mark.slow

SHORT = Severity(worker_kills=2, server_kills=1, claimed_jobs=30, locked_s=1, requests=20)


@pytest.fixture(scope="module", params=["SQLite", pytest.param("PostgreSQL", marks=pytest.mark.postgres)])
def kind_of_ground(request):
    with grounds(request.param) as ground_in:
        yield request.param, ground_in


NAMES = list(faults("PostgreSQL", SHORT, 0))


@pytest.mark.parametrize("fault", NAMES)
def test_a_fault_loses_and_doubles_nothing(kind_of_ground, fault, tmp_path):
    kind, ground_in = kind_of_ground
    strike = faults(kind, SHORT, seed=0).get(fault)
    if strike is None:
        pytest.skip("SQLite has one machine's clock")
    with ground_in(tmp_path) as ground:
        row = strike(ground)
    assert row.holds, row


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk can be mounted by root alone")
def test_a_full_disk_is_waited_for(kind_of_ground, tmp_path):
    kind, ground_in = kind_of_ground
    with ground_in(tmp_path / "elsewhere") as ground:
        row = full_disk(kind, "" if kind == "SQLite" else ground.url, tmp_path / "disk")
    assert row.holds, row
