"""Tries converted recipes with tools in environments of their own; run as ``make interop``.

Prints a row for each tool: its version, whether each layer came out as the policy says, and the accuracy of
what it made beside the claimed interval; or the error that keeps it from running here. Exits with 1 if a tool
that runs disagrees. ``--markdown FILE`` writes the table too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from evaluators.workloads.digits_cnn import DigitsCnn
from spaces import FLOAT_BITS
from tests.interop.tools import TOOLS
from tests.models import Around, Attention, Flattening
from tests.recipes.converters.cases import Applied
from tests.recipes.converters.qdq import read_layers

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / "build" / "interop"
HEADER = ("format", "tool", "version", "layers", "accuracy", "claimed", "verdict")
INSTALL_S, CHECK_S = 1800, 600
EPOCHS = {Attention: 120, Flattening: 6}


class UnusableError(Exception):
    """The tool cannot be installed or started here."""


@dataclass(frozen=True)
class Row:
    """What came of one tool."""

    cells: tuple[str, ...]
    agrees: bool


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", help="formats to try")
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    digits, rows = DigitsCnn(), []
    for tool in TOOLS:
        if not arguments.only or tool.format in arguments.only:
            rows.append(try_tool(tool, digits))
            print(" | ".join(rows[-1].cells), flush=True)
    if arguments.markdown is not None:
        arguments.markdown.write_text(table(rows))
    sys.exit(0 if all(row.agrees for row in rows) else 1)


def try_tool(tool, digits):
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        workload = Around(digits, tool.network, epochs=EPOCHS[tool.network])
        applied = Applied(workload, workload.model(), tool.policy, directory)
        conversion = applied.convert(tool.format)
        try:
            python = environment(tool)
            answer = check(tool, python, applied, conversion, directory)
        except UnusableError as error:
            return Row((tool.format, tool.distribution, *("-" * 4), f"not tried: {error}"), agrees=True)
        return compared(tool, applied, conversion, answer, directory)


def environment(tool):
    """The environment's interpreter; made if it is not there."""
    home = ENVIRONMENTS / tool.format
    python, marker = home / "bin" / "python", home / ".installed"
    packages = ("torch==2.13.0", "numpy", *tool.packages)
    if not marker.is_file() or marker.read_text() != "\n".join(packages):
        run([sys.executable, "-m", "venv", home], INSTALL_S)
        run([python, "-m", "pip", "install", "--quiet", *packages], INSTALL_S)
        marker.write_text("\n".join(packages))
    return python


def check(tool, python, applied, conversion, directory):
    suffix = {"llm-compressor": ".yaml", "modelopt": ".yaml"}.get(tool.format, ".json")
    (directory / f"recipe{suffix}").write_text(conversion.text)
    known = {
        "file": f"recipe{suffix}",
        "network": tool.network.__name__,
        "layers": list(applied.inventory.by_name),
        "distribution": tool.distribution,
    }
    (directory / "given.json").write_text(json.dumps(known))
    torch.save(applied.model.state_dict(), directory / "weights.pt")
    batches = applied.workload.batches
    calibration = [inputs[0] for inputs, _ in batches("calibration", 16, limit=80)]
    torch.save(calibration, directory / "calibration.pt")
    torch.save(torch.cat([inputs[0] for inputs, _ in batches("validation", 64)]), directory / "validation.pt")
    run([python, "-m", f"tests.interop.checks.{tool.check.removesuffix('.py')}", directory], CHECK_S)
    return json.loads((directory / "answer.json").read_text())


def compared(tool, applied, conversion, answer, directory):
    if answer["layers"] is None:
        found = {name: _of_file(form) for name, form in read_layers(directory / "made.onnx").items()}
        accuracy = applied.accuracy_of_file(directory / "made.onnx")
    else:
        found = {name: form and tuple(form) for name, form in answer["layers"].items()}
        outputs = torch.load(directory / "outputs.pt")
        accuracy = applied.accuracy_of_outputs(outputs)
    wanted = expected(applied, conversion)
    wrong = {name: (wanted[name], found[name]) for name in wanted if wanted[name] != found[name]}
    claim = applied.recipe.claims["accuracy"]
    agrees = not wrong and applied.is_as_claimed(accuracy)
    verdict = "agrees" if agrees else f"disagrees: {wrong}" if wrong else "accuracy outside the interval"
    cells = (
        tool.format,
        tool.distribution,
        answer["version"],
        f"{len(wanted) - len(wrong)} of {len(wanted)} as the policy says",
        f"{accuracy.value:.3f}",
        f"{claim.low:.3f} to {claim.high:.3f}",
        verdict,
    )
    return Row(cells, agrees)


def expected(applied, conversion):
    """What each layer must be: as the policy says, or in float where the losses say so."""
    refused = {loss.layer for loss in conversion.losses}
    forms = {}
    for name in applied.inventory.by_name:
        layer = applied.policy.layers.get(name)
        if layer is None or not layer.is_quantized or name in refused:
            forms[name] = None
            continue
        weight, activation = layer.weight, layer.activation
        by = weight.granularity if weight.group_size is None else f"group {weight.group_size}"
        is_float = activation is None or activation.bits == FLOAT_BITS
        forms[name] = (
            weight.bits,
            by,
            weight.symmetric,
            "none" if is_float else f"{activation.bits} {activation.mode}",
        )
    return forms


def _of_file(form):
    bits, granularity, symmetric, activation = form
    is_static = activation < FLOAT_BITS
    return (
        (bits, granularity, symmetric, f"{activation} static" if is_static else "none")
        if bits < FLOAT_BITS
        else None
    )


def run(command, timeout_s):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    try:
        done = subprocess.run(
            ["nice", "-n", "19", *map(str, command)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnusableError(f"took more than {timeout_s} s") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise UnusableError(lines[-1] if lines else f"exit code {done.returncode}")


def table(rows):
    head = [f"| {' | '.join(HEADER)} |", f"|{' --- |' * len(HEADER)}"]
    body = [f"| {' | '.join(row.cells)} |" for row in rows]
    return "\n".join(
        [
            f"Tried on {datetime.now(UTC).date().isoformat()}, torch 2.13.0, without an accelerator.",
            "",
            *head,
            *body,
            "",
        ]
    )


if __name__ == "__main__":
    main()
