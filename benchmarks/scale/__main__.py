"""What running on a cluster costs, and what its faults cost: ``python -m benchmarks.scale``.

Trials wait and look their scores up, so that what runs them is measured: the product's own controller, over a
database, with evaluators on a Ray cluster of one or two nodes on this machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.scale.faults import killed_controller, killed_node, restarted_head
from benchmarks.scale.overhead import efficiency, overhead
from benchmarks.scale.parallel import parallel
from benchmarks.table import Row, exit_code, print_rows, write_rows

if TYPE_CHECKING:
    from collections.abc import Callable

PARTS: Final = ("overhead", "efficiency", "faults", "parallel")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer trials and seeds, the same bars")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=PARTS)
    options = parser.parse_args()
    quick = options.quick
    workers = (1, 8, 32) if quick else (1, 2, 4, 8, 16, 32)
    seeds = range(options.seed, options.seed + (5 if quick else 10))
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="tauten-scale-", ignore_cleanup_errors=True) as name:
        place = Path(name)
        run: dict[str, Callable[[], list[Row]]] = {
            "overhead": lambda: overhead(place / "overhead", 60 if quick else 200),
            "efficiency": lambda: efficiency(place / "efficiency", workers, 8 if quick else 10),
            "faults": lambda: [
                fault(place / fault.__name__) for fault in (killed_node, killed_controller, restarted_head)
            ],
            "parallel": lambda: [parallel(place / f"parallel{trials}", seeds, trials) for trials in (40, 80)],
        }
        for part in PARTS:
            if options.only in (None, part):
                rows += run[part]()
    print_rows("A search across processes and nodes", rows)
    if options.json:
        write_rows(options.json, rows)
    sys.exit(exit_code(rows))


if __name__ == "__main__":
    main()
