"""What the searches of a bar found, as rows."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING, Any, Final

from benchmarks.headline.bars import LOST
from benchmarks.headline.searching import gains
from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.headline.bars import Bar
    from benchmarks.headline.searching import Search

USEFUL: Final = 0.9
POINTS: Final = 100


def rows_of(bar: Bar, searches: Sequence[Search]) -> Iterator[Row]:
    """A row for the bar, and for the promised times where there are any.

    The bar holds where the mean over seeds reaches it and the mean loss on test is at most a point. Of
    searches that are not finished the loss is validation's, and the row says so and does not hold.
    """
    found = [(search, search.best(bar)) for search in searches]
    reached = [(search, trial) for search, trial in found if trial is not None]
    seeds = f"{len(searches)} seed{'s' if len(searches) != 1 else ''}"
    if len(reached) < len(found) or not reached:
        yield Row(f"{bar.workload}, {seeds}", bar.words, "no trial within a point of accuracy", holds=False)
        return
    fast, small = zip(*(gains(trial) for _, trial in reached), strict=True)
    lost = [_lost(search, trial) for search, trial in reached]
    is_whole = all(search.is_finished for search in searches)
    trials = ", ".join(f"{search.done}" for search in searches)
    split = "test" if is_whole else "validation, search unfinished"
    contended = any(trial["metrics"]["latency_ms"].get("contended") for _, trial in reached)
    yield Row(
        f"{bar.workload}, {seeds} ({trials} trials)",
        bar.words,
        f"{mean(fast):.2f}x faster, {mean(small):.1f}x smaller, {POINTS * mean(lost):+.2f} points lost"
        f" ({split})",
        f"{_spread(fast, 'x')}; {_spread(small, 'x', 1)}; {_spread([POINTS * each for each in lost], '')}"
        + (" (contended)" if contended else ""),
        holds=is_whole and bar.closeness(mean(fast), mean(small)) >= 1 and mean(lost) <= LOST,
    )
    if bar.within_s is not None and is_whole:
        yield from _times(bar, bar.within_s, searches)


def _times(bar: Bar, within_s: float, searches: Sequence[Search]) -> Iterator[Row]:
    taken = [search.elapsed_s / 60 for search in searches]
    shares = [share for search in searches if (share := search.useful_share) is not None]
    yield Row(
        f"{bar.workload}: wall time of the search",
        f"<= {within_s / 60:g} min on two cores",
        f"{mean(taken):.0f} min",
        _spread(taken, " min", 0),
        holds=max(taken) <= within_s / 60,
    )
    yield Row(
        f"{bar.workload}: hypervolume after 10 minutes of evaluation",
        f">= {USEFUL:.0%} of the final",
        f"{mean(shares):.0%}",
        _spread([POINTS * share for share in shares], " %", 0),
        holds=mean(shares) >= USEFUL,
    )


def _lost(search: Search, trial: Mapping[str, Any]) -> float:
    before, after = search.front["reference"].get("accuracy_test"), trial.get("accuracy_test")
    if before is None or after is None:
        return float(trial["metrics"]["accuracy_drop"]["value"])
    return float(before["value"] - after["value"])


def _spread(values: Sequence[float], unit: str, digits: int = 2) -> str:
    return f"{min(values):.{digits}f} … {max(values):.{digits}f}{unit}"
