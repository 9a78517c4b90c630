"""The trade-off as a PNG: accuracy against cost, the front joined, the chosen trial marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spaces import Conflict

if TYPE_CHECKING:
    from pathlib import Path


def draw_trade_off(shown: dict[str, Any], path: Path) -> None:
    """Writes the plot.

    Args:
        shown: of `service.model_card.plot_points`.
        path: the PNG to write.

    Raises:
        Conflict: matplotlib, of the extra ``card``, is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise Conflict("the plot needs matplotlib; install it with: pip install 'tauten[card]'") from error
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    points = shown["points"]
    front = sorted((p["x"], p["y"]) for p in points if p["on_front"])
    axes.scatter([p["x"] for p in points], [p["y"] for p in points], s=16, color="0.6", label="trials")
    axes.step(
        [x for x, _ in front],
        [y for _, y in front],
        where="post",
        marker="o",
        markersize=4,
        color="tab:blue",
        label="front",
    )
    chosen = [(p["x"], p["y"]) for p in points if p["chosen"]]
    if chosen:
        across, up = zip(*chosen, strict=True)
        axes.scatter(across, up, s=80, facecolors="none", edgecolors="tab:red", label="chosen")
    axes.set_xlabel(shown["cost"])
    axes.set_ylabel("accuracy")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150, format="png", metadata={"Software": None})
