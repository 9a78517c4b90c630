"""``tauten targets``: what can be asked for, what may be searched there, how good its figures are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.table import Table

from evaluators.targets import Target, find_target, host_fingerprint, list_targets
from service.cli.output import AsJson, err, out, print_json, printing_aside
from service.documents import read_document
from service.files import write_aside
from service.settings import Settings
from spaces import InvalidValue, LayerExplanation, Reader, explain

app = typer.Typer(help="Hardware targets.", no_args_is_help=True)

TargetArgument = Annotated[str, typer.Argument(metavar="TARGET", help="Its name, or path/to/target.yaml.")]
Out = Annotated[Path | None, typer.Option("--out", help="YAML file to write.")]


@app.command("list")
def list_all(as_json: AsJson = False) -> None:
    """Lists the shipped targets, and those of the directory that TAUTEN_TARGETS names."""
    found = list_targets(Settings.load().targets_dir)
    if as_json:
        print_json({"items": [target.to_dict() for target in found.values()], "next_cursor": None})
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("target", "kind", "calibrated", "description"):
        table.add_column(column)
    for target in found.values():
        table.add_row(target.name, target.kind, _calibrated(target), target.description)
    out.print(table)


@app.command()
def show(target: TargetArgument, as_json: AsJson = False) -> None:
    """Shows a target with its figures, each with its source.

    Example: [bold]tauten targets show raspberry-pi-5[/]
    """
    document = _find(target).to_dict()
    if as_json:
        print_json(document)
    else:
        out.print(yaml.safe_dump(document, sort_keys=False), end="", markup=False)


@app.command()
def check(target: TargetArgument, as_json: AsJson = False) -> None:
    """Checks a target's file: its fields, its figures and their sources; exits with 2 if one is wrong.

    Example: [bold]tauten targets check board.yaml[/]
    """
    found = _find(target)
    lacks = [] if found.is_modelled else list(found.host_requires.lacking())
    if as_json:
        print_json({"target": found.name, "kind": found.kind, "status": "ok", "host_lacks": lacks})
        return
    out.print(f"{found.name}: {found.kind}, {len(found.sources)} sources, {_calibrated(found)}", markup=False)
    for lack in lacks:
        err.print(f"not to be measured here: it requires {lack}", markup=False)


@app.command("explain")
def explain_target(
    target: TargetArgument,
    workload: Annotated[str, typer.Option(help="Registered name, or path/to/file.py:factory.")],
    hint: Annotated[
        str | None,
        typer.Option("--task-hint", help="accuracy-critical, real-time or cross-architecture."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Says for each layer what may be searched on a target, and why the rest may not.

    Example: [bold]tauten targets explain a100 --workload digits-cnn --task-hint real-time[/]
    """
    from compression import take_inventory
    from evaluators.reference import load_model
    from evaluators.workloads import load_workload

    found = _find(target)
    with err.status("loading the model"), printing_aside():
        loaded = load_workload(workload, allow_files=True)
        inventory = take_inventory(load_model(loaded), loaded.example_inputs())
    layers, reasons = explain(inventory, found.capabilities, hint)
    if as_json:
        print_json(
            {
                "target": found.name,
                "workload": workload,
                "hint": hint,
                "reasons": list(reasons),
                "limits": dict(found.limits),
                "layers": [layer.to_dict() for layer in layers],
            }
        )
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("layer", "operator", "bits", "on request", "pruning"):
        table.add_column(column, overflow="fold")
    for layer in layers:
        pruned = "-" if layer.prune is None else f"{layer.prune[0]} {_ratios(layer.prune[1])}"
        table.add_row(layer.layer, layer.op, ", ".join(layer.bits), ", ".join(layer.also) or "-", pruned)
    out.print(table)
    out.print("\n[bold]Not to be searched[/]")
    for (what, why), names in _refusals(layers).items():
        where = "all layers" if len(names) == len(layers) else ", ".join(names)
        out.print(f"- {what}: {why} ({where})", markup=False, soft_wrap=True)
    out.print("\n[bold]Why these are the defaults[/]")
    for reason in reasons:
        out.print(f"- {reason}", markup=False)
    for metric, limit in found.limits.items():
        out.print(f"- {metric} may be {limit:,.0f} at most, as a constraint of every job", markup=False)


@app.command()
def measure(
    threads: Annotated[int, typer.Option(help="Of the runtime.", min=1)] = 1,
    to: Out = None,
    as_json: AsJson = False,
) -> None:
    """Measures this machine's rates, bandwidth and overhead; --out writes them as a modelled target.

    Example: [bold]tauten targets measure --out this-host.yaml[/]
    """
    from evaluators.modelled.host_figures import measure_host, modelled_host

    with err.status("measuring"):
        found = measure_host(threads)
    if to is not None:
        _write(to, modelled_host(found, find_target("local-cpu")))
    if as_json:
        print_json({"fingerprint": host_fingerprint(find_target("local-cpu")), **found.to_dict()})
        return
    out.print(f"float32    {found.float32_ops / 1e9:10.1f} G operations a second")
    out.print(f"int8       {found.int8_ops / 1e9:10.1f} G operations a second")
    out.print(f"bandwidth  {found.bandwidth_bytes_s / 1e9:10.1f} GB a second")
    if found.cache_bandwidth_bytes_s is not None:
        out.print(f"in cache   {found.cache_bandwidth_bytes_s / 1e9:10.1f} GB a second")
    out.print(f"overhead   {found.overhead_us:10.2f} us a kernel")


@app.command()
def calibrate(
    target: TargetArgument,
    samples: Annotated[
        Path, typer.Option(help="JSON or YAML: a list of {artifact: file.onnx, latency_ms: number}.")
    ],
    to: Annotated[Path, typer.Option("--out", help="YAML file of the calibrated target.")],
    name: Annotated[
        str | None, typer.Option(help="Of the calibrated target; default NAME-calibrated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fits a modelled target to latencies that were measured on it, and writes it with its errors.

    Paths of artifacts are relative to the samples' file.

    Example: [bold]tauten targets calibrate raspberry-pi-5 --samples measured.json --out my-pi.yaml[/]
    """
    from dataclasses import replace

    from evaluators.modelled.calibrating import Sample
    from evaluators.modelled.calibrating import calibrate as fit
    from evaluators.modelled.graph_costs import read_costs

    found = _find(target)
    read = []
    for path, latency_ms in _samples(read_document(samples), samples.absolute().parent):
        read.append(Sample(read_costs(path, example_feed(path, found.batch)), latency_ms))
    fitted = replace(fit(found, read), name=name or f"{found.name}-calibrated")
    _write(to, fitted)
    calibration = fitted.calibration
    assert calibration is not None
    if as_json:
        print_json({"target": fitted.name, "file": str(to), "calibration": calibration.to_dict()})
    else:
        out.print(f"{to}: {fitted.name}, {_calibrated(fitted)}", markup=False)


def example_feed(path: Path, batch: int) -> dict[str, Any]:
    """Zeros for an artifact's inputs: costs depend on shapes alone."""
    import numpy as np
    import onnx

    stored = onnx.load(path, load_external_data=False).graph
    weights = {item.name for item in stored.initializer}
    feed = {}
    for item in stored.input:
        if item.name not in weights:
            kind = item.type.tensor_type
            dims = [dim.dim_value for dim in kind.shape.dim][1:]
            dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
            feed[item.name] = np.zeros((batch, *dims), dtype)
    return feed


def _refusals(layers: list[LayerExplanation]) -> dict[tuple[str, str], list[str]]:
    """The layers of each refusal, which many layers share."""
    found: dict[tuple[str, str], list[str]] = {}
    for layer in layers:
        for refusal in layer.refused.items():
            found.setdefault(refusal, []).append(layer.layer)
    return found


def _samples(document: Any, beside: Path) -> list[tuple[Path, float]]:
    def read(item: Any, pointer: str) -> tuple[Path, float]:
        fields = Reader(item, pointer)
        path, latency_ms = beside / fields.text("artifact"), fields.number("latency_ms")
        fields.done()
        if not path.is_file():
            raise InvalidValue.at(f"{pointer}/artifact", f"there is no file {path}")
        return path, latency_ms

    return list(Reader({"samples": document}).items("samples", read))


def _find(name: str) -> Target:
    return find_target(name, Settings.load().targets_dir, allow_files=True)


def _write(path: Path, target: Target) -> None:
    write_aside(path, yaml.safe_dump(target.to_dict(), sort_keys=False, allow_unicode=True))


def _calibrated(target: Target) -> str:
    if not target.is_modelled:
        return "-"
    found = target.calibration
    if found is None:
        return "uncalibrated"
    return f"{found.samples} samples, error {100 * found.mape:.1f} %, tau {found.tau:.2f}"


def _ratios(ratios: tuple[float, ...]) -> str:
    return "/".join(f"{ratio:g}" for ratio in ratios)
