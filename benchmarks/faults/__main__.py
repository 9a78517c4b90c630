"""The command line of the faults."""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.faults.ground import Ground
from benchmarks.faults.outages import full_disk, stopped_database
from benchmarks.faults.queue_faults import claimed_once, frozen_worker, killed_workers, wrong_clocks
from benchmarks.faults.server_faults import killed_server, one_key
from benchmarks.postgres import Postgres
from benchmarks.table import Row, exit_code, print_rows, write_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Severity:
    """How hard each fault strikes."""

    worker_kills: int
    server_kills: int
    claimed_jobs: int
    locked_s: float
    requests: int = 50


FULL: Final = Severity(worker_kills=100, server_kills=50, claimed_jobs=1000, locked_s=20)
QUICK: Final = Severity(worker_kills=20, server_kills=8, claimed_jobs=200, locked_s=20)


def faults(kind: str, severity: Severity, seed: int) -> dict[str, Callable[[Ground], Row]]:
    """Every fault of a kind of database but the full disk, which brings a place of its own, by name."""
    found: dict[str, Callable[[Ground], Row]] = {
        "killed-workers": lambda ground: killed_workers(ground, severity.worker_kills, seed),
        "killed-server": lambda ground: killed_server(ground, severity.server_kills, seed),
        "stopped-database": lambda ground: stopped_database(ground, severity.locked_s),
        "two-workers": lambda ground: claimed_once(ground, 2, severity.claimed_jobs),
        "eight-workers": lambda ground: claimed_once(ground, 8, severity.claimed_jobs),
        "frozen-worker": frozen_worker,
        "one-key": lambda ground: one_key(ground, severity.requests),
    }
    if kind == "PostgreSQL":  # SQLite has one machine's clock, and it is the workers' own
        found["wrong-clocks"] = wrong_clocks
    return found


@contextmanager
def grounds(kind: str) -> Iterator[Callable[[Path], Ground]]:
    """Makes grounds of a kind of database, each in a directory of its own, while the block lasts."""
    if kind == "SQLite":
        yield lambda place: Ground(kind, f"sqlite:///{place}/tauten.db", place)
        return
    with Postgres() as server:
        yield lambda place: Ground(kind, server.url, place, server.restart)


def main() -> None:
    """Tries the faults and prints a row each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="each fault strikes less often")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", help="one fault, by name")
    parser.add_argument("--database", choices=("SQLite", "PostgreSQL"))
    arguments = parser.parse_args()
    severity = QUICK if arguments.quick else FULL
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="tauten-faults-") as name:
        for kind in ("SQLite", "PostgreSQL"):
            if arguments.database not in {None, kind}:
                continue
            with grounds(kind) as ground_in:
                for fault, strike in faults(kind, severity, arguments.seed).items():
                    if arguments.only in {None, fault}:
                        with ground_in(Path(name) / f"{kind}-{fault}") as ground:
                            rows.append(strike(ground))
                        print(f"{rows[-1].what}: {rows[-1].verdict}", file=sys.stderr)
                if arguments.only in {None, "full-disk"}:
                    place = Path(name) / f"{kind}-full-disk"
                    with ground_in(Path(name) / f"{kind}-elsewhere") as ground:
                        url = "" if kind == "SQLite" else ground.url
                        rows.append(full_disk(kind, url, place))
    print_rows("Faults", rows)
    if arguments.json:
        write_rows(arguments.json, rows)
    sys.exit(exit_code(rows))


if __name__ == "__main__":
    main()
