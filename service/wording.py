"""Metrics in words for people, the same in tables, reports and verdicts: decimal units, percent, points."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]


def size(size_bytes: float) -> str:
    """Bytes in decimal units, three digits."""
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if size_bytes >= step:
            return f"{size_bytes / step:.3g} {unit}"
    return f"{size_bytes:.0f} B"


def value(name: str, metric: Document | None) -> str:
    """A metric's value with its unit; empty where there is none."""
    if metric is None:
        return ""
    number = metric["value"]
    if name == "accuracy_drop":
        return f"{100 * number:.2f} pts"
    if metric["unit"] == "fraction":
        return f"{100 * number:.2f} %"
    if metric["unit"] == "byte":
        return size(number)
    if metric["unit"] == "mac":
        return f"{number / 1e6:.3g} M"
    return f"{number:.3g} {metric['unit']}"


def interval(metric: Document | None) -> str:
    """A fraction's 95 % interval in percent; empty where there is none."""
    if metric is None or metric.get("low") is None:
        return ""
    return f"{100 * metric['low']:.1f}-{100 * metric['high']:.1f}"


def optimism_note(front: Document) -> str | None:
    """How the chosen trial does on the test split, in a sentence; ``None`` where that is not known."""
    found = front.get("optimism")
    if found is None:
        return None
    drops = [f"{_points(found['validation'])} on validation"]
    if found["again"] is not None:
        drops.append(f"{_points(found['again'])} there when trained again with other seeds")
    test = f"{_points(found['test'])} on the test split"
    if found["test_low"] is not None:
        test += f" ({100 * found['test_low']:.1f} to {100 * found['test_high']:.1f})"
    note = f"trial {found['trial']}: accuracy drops {', '.join(drops)}, and {test}"
    if found["holds"] is False:
        note += f": more than the {_points(found['allowed'])} allowed"
    if found["gap"] > 0:
        note += f"; the search was {_points(found['gap'])} too hopeful of it"
    return f"{note} ({_points(found['front_gap'])} on average over the front)"


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"


def gain(metric: Document | None) -> str:
    """How many times faster or smaller than the reference; empty where that is not known."""
    factor = metric and (metric.get("speedup") or metric.get("ratio"))
    return f"{factor:.2f}x" if factor else ""
