"""A controller in a process of its own, to be killed: ``python -m benchmarks.scale.controller``.

It takes the next job of a directory's database and runs it on a Ray cluster, and joins the cluster again when
that was gone.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from benchmarks.scale.jobs import room
from benchmarks.scale.sleeper import Sleeper
from search.resources import Resources
from search.runners.ray_cluster import RayCrew, connect, leave


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.controller", description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--room", type=Path, required=True)
    parser.add_argument("--job", required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--trial-s", type=float, default=0.0)
    options = parser.parse_args()
    connect(options.address)
    make = partial(Sleeper, seconds=options.trial_s)
    with room(options.room) as place:
        place.go_on(
            options.job,
            lambda idle: RayCrew(make, options.workers, Resources(), options.room / "back", idle),
        )
    leave()


if __name__ == "__main__":
    main()
