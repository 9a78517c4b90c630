"""``python -m benchmarks.peers [--workload W] [--only TOOL] [--epochs N] [--seed N] [--json FILE]``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from benchmarks.headline.bars import BARS, LOST, ON_LABELS
from benchmarks.peers.nncf_accuracy import ON_ONNX_RUNTIME, ON_OPENVINO
from benchmarks.peers.onnx_runtime import DYNAMIC, STATIC
from benchmarks.peers.peer import UNTRIED
from benchmarks.peers.uniform import GRID, TORCH_PRUNING
from benchmarks.table import Row, exit_code, print_rows, surroundings, write_rows
from evaluators.cache import cache_root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.headline.bars import Bar
    from benchmarks.peers.measuring import Point, Result

app = typer.Typer(add_completion=False)
CONVOLUTIONS: Final = (STATIC, ON_ONNX_RUNTIME, ON_OPENVINO, TORCH_PRUNING, GRID)
ENCODERS: Final = (DYNAMIC, ON_OPENVINO)
FASTER: Final = 1.5


@app.command()
def main(
    *,
    workload: Annotated[str, typer.Option(help="Of the headline's.")] = "fashion-resnet",
    only: Annotated[list[str] | None, typer.Option(help="Tools whose name contains this.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Of fine-tuning, instead of the headline's.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    store: Annotated[Path | None, typer.Option(help="Where results are kept between runs.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the rows to this file as well.")] = None,
) -> None:
    """Runs other tools on a workload, and compares what they make with the front of its headline search.

    A tool that is not installed, or crashes, is listed with its error. Exits 1 where a bar is not reached.

    Example: python -m benchmarks.peers --only "ONNX Runtime, static"
    """
    from benchmarks.peers.measuring import try_peer
    from evaluators.process import use_threads
    from evaluators.workloads import load_workload

    bars = {bar.workload: bar for bar in BARS}
    if workload not in bars:
        Console(stderr=True).print(f"there is no bar for {workload}; there are: {', '.join(bars)}")
        raise typer.Exit(2)
    use_threads()
    root = store or cache_root()
    ours = _front(bars[workload], seed, root / "headline")
    peers = ENCODERS if workload == "minilm-sentiment" else CONVOLUTIONS
    chosen = [peer for peer in peers if not only or any(part in peer.name for part in only)]
    loaded = load_workload(workload)
    rows: list[Row] = []
    for index, peer in enumerate(chosen):
        directory = root / "peers" / f"{workload}-{seed}" / peer.name.replace(" ", "-").replace(",", "")
        Console(stderr=True).print(f"{index + 1} of {len(chosen)}: {peer.name}")
        trained = float(ON_LABELS["epochs"] or 0.0) if epochs is None else epochs
        rows += _rows(try_peer(peer, loaded, ours, directory, epochs=trained, seed=seed))
    if not only:
        rows += [
            Row(f"{name}: {what}", "", "not tried: there is no adapter for it here", is_ours=False)
            for name, what in UNTRIED.items()
        ]
    known = ", ".join(f"{key} {value}" for key, value in surroundings().items())
    print_rows(f"Peers on {workload}; {known}", rows)
    if json is not None:
        write_rows(json, rows)
    sys.exit(exit_code(rows))


def _front(bar: Bar, seed: int, store: Path) -> dict[str, Path]:
    """Files of the front that the headline's search left, by trial; of whatever budget has come farthest."""
    from json import loads

    from service.settings import Settings
    from storage import ArtifactStore

    found: dict[str, Path] = {}
    for directory in sorted(store.glob(f"{bar.workload}-*-{seed}")):
        front = directory / "front.json"
        if not front.is_file():
            continue
        settings = Settings.load(data_dir=directory / ".tauten", environ={}, directory=None)
        artifacts = ArtifactStore(settings.artifacts_dir)
        for trial in loads(front.read_text())["trials"]:
            found[f"{directory.name} {trial['trial']}"] = artifacts.path(trial["artifact"]["digest"])
    return found


def _rows(result: Result) -> Iterator[Row]:
    tool = f"{result.peer} {result.version}".strip()
    if result.error:
        yield Row(tool, "", f"not measured: {result.error}", is_ours=False)
        return
    for point in result.points:
        yield Row(f"{tool}: {point.name}", "", _words(point), is_ours=False)
    best = result.best
    if best is None:
        yield Row(f"{tool}: its best within a point", "", "none", is_ours=False)
        return
    allowed = [point for point in result.ours if point.drop <= LOST]
    if not allowed:
        yield Row(f"{tool}: its best within a point, in its own runtime", "", _words(best), is_ours=False)
        return
    beaten = sum(any(point.dominates(other) for point in result.points) for other in result.ours)
    yield Row(
        f"{tool}: points of our front that it dominates",
        "none",
        f"{beaten} of {len(result.ours)}",
        holds=beaten == 0,
    )
    mine = max(allowed, key=lambda point: point.speedup)
    yield Row(
        f"{tool}: our fastest within a point over its own",
        f">= {FASTER:g}x",
        f"{mine.speedup / best.speedup:.2f}x ({_words(mine)})",
        holds=mine.speedup >= FASTER * best.speedup,
    )


def _words(point: Point) -> str:
    return (
        f"{point.speedup:.2f}x faster, {point.ratio:.1f}x smaller, {100 * point.lost:+.2f} points lost (test)"
    )


if __name__ == "__main__":
    app()
