"""Whether a workload keeps the contract: its splits, model and loss. Exports and times nothing.

A fault here would show up in a search as a number that looks good and is wrong: a test image that was trained
on, a model that drops units at random, data that come in another order each time.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import torch

from compression import Split, evaluating, main_output, one_line
from spaces import TautenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

    from compression import Workload

Verdict = Literal["holds", "warns", "fails"]

SPLITS: Final[tuple[str, ...]] = get_args(Split)
EVALUATED: Final = ("calibration", "validation", "test")
BATCH_SIZES: Final = (64, 47)
"""Examples must be the same, and in the same order, whatever the size of the batches; 47 divides nothing."""

SHARED: Final = 0.01
"""Real data hold a few examples twice; beyond this share of a split it is a fault."""

CLOSE: Final = 1e-4
"""Largest difference between the outputs for an example alone and in a batch, relative to the largest."""

FEW: Final = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence of the contract, tried.

    Attributes:
        check: what was tried.
        verdict: ``fails`` where a search would be wrong or impossible; ``warns`` where a person should look.
        detail: what was found, with the remedy where it does not hold.
    """

    check: str
    verdict: Verdict
    detail: str


def check_contract(workload: Workload, model: nn.Module) -> Iterator[Finding]:
    """Tries every sentence of the contract that needs neither export nor measurement; reads all splits.

    Args:
        workload: the user's.
        model: of its ``model()``.
    """
    data = _Data(workload)
    checks: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("splits", lambda: _splits(data)),
        ("inputs", lambda: _inputs(workload)),
        ("disjoint", lambda: _disjoint(data)),
        ("order", lambda: _order(data)),
        ("shuffling", lambda: _shuffling(data)),
        ("limit", lambda: _limit(data)),
        ("model", lambda: _model(workload, model)),
        ("batches", lambda: _rows(workload, model)),
        ("loss", lambda: _loss(workload, model)),
    )
    for name, check in checks:
        try:
            yield check()
        except TautenError as error:
            yield Finding(name, "fails", str(error))
        except Exception as error:  # noqa: BLE001  # the user's code may raise anything; it is what is checked
            yield Finding(name, "fails", f"raised {one_line(error)}")


class _Data:
    """What a workload's splits hold, as digests of each example's inputs, in their order."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._first: dict[tuple[str, int], list[bytes]] = {}

    def first(self, split: str, seed: int = 0) -> list[bytes]:
        """Read once, and kept."""
        if (split, seed) not in self._first:
            self._first[split, seed] = self.read(split, seed=seed)
        return self._first[split, seed]

    def read(self, split: str, batch_size: int = BATCH_SIZES[0], **options: Any) -> list[bytes]:
        """Read anew."""
        return [
            hashlib.sha256(b"".join(item[index].contiguous().numpy().tobytes() for item in inputs)).digest()
            for inputs, targets in self._workload.batches(split, batch_size, **options)
            for index in range(len(targets))
        ]


def _splits(data: _Data) -> Finding:
    sizes = {split: len(data.first(split)) for split in SPLITS}
    shown = ", ".join(f"{size} {split}" for split, size in sizes.items())
    empty = [split for split, size in sizes.items() if size == 0]
    if empty:
        return Finding("splits", "fails", f"{shown}: {' and '.join(empty)} must not be empty")
    return Finding("splits", "holds", shown)


def _inputs(workload: Workload) -> Finding:
    """Every split's batches are like the example, which fixes the artifact's inputs."""
    examples = workload.example_inputs()
    if not isinstance(examples, tuple) or not all(isinstance(item, torch.Tensor) for item in examples):
        return Finding("inputs", "fails", "example_inputs() must return a tuple of tensors")
    if any(len(item) != 1 for item in examples):
        return Finding("inputs", "fails", "example_inputs() must have a batch of 1")
    wanted = [_form(item) for item in examples]
    for split in SPLITS:
        inputs, targets = next(iter(workload.batches(split, FEW)))
        found = [_form(item) for item in inputs]
        if found != wanted:
            detail = f"{split} has inputs {_shown(found)}, and example_inputs() {_shown(wanted)}"
            return Finding("inputs", "fails", detail)
        if len(targets) != len(inputs[0]):
            return Finding("inputs", "fails", f"{split}: {len(inputs[0])} inputs with {len(targets)} targets")
    return Finding("inputs", "holds", f"{_shown(wanted)} an example")


def _disjoint(data: _Data) -> Finding:
    """No example is in two splits; train may show its examples altered, which hides them."""
    found = {split: set(data.first(split)) for split in SPLITS}
    shared = {
        f"{one} and {other}": len(found[one] & found[other])
        for one, other in itertools.combinations(SPLITS, 2)
    }
    several = ", ".join(f"{count} in both {pair}" for pair, count in shared.items() if count)
    if max(shared.values()) > SHARED * min(len(found[split]) for split in EVALUATED):
        return Finding("disjoint", "fails", f"{several}: accuracy would be of examples that were seen")
    if several:
        return Finding("disjoint", "warns", f"{several}: equal examples in the data?")
    if set(data.first("train", seed=1)) != found["train"]:
        detail = "nothing shared as far as can be seen: train's examples are altered at random"
        return Finding("disjoint", "holds", detail)
    return Finding("disjoint", "holds", "no example is in two splits")


def _order(data: _Data) -> Finding:
    """The same examples in the same order each time, whatever the batches' size; train's by the seed."""
    for split in SPLITS:
        if data.read(split) != data.first(split):
            return Finding("order", "fails", f"{split} differs from one time to the next; seed what it draws")
    for split in EVALUATED:
        if data.read(split, BATCH_SIZES[1]) != data.first(split):
            return Finding("order", "fails", f"{split} differs with the size of the batches")
    return Finding("order", "holds", "each split is the same each time")


def _shuffling(data: _Data) -> Finding:
    """Train alone is shuffled."""
    for split in EVALUATED:
        if data.read(split, seed=1) != data.first(split):
            return Finding("shuffling", "fails", f"{split} depends on the seed; only train may")
    if data.first("train") == data.first("train", seed=1):
        return Finding(
            "shuffling", "fails", "train comes in one order whatever the seed; shuffle it by the seed"
        )
    return Finding("shuffling", "holds", "train alone, by the seed")


def _limit(data: _Data) -> Finding:
    for split in SPLITS:
        count = len(data.read(split, limit=FEW - 1))
        if count > FEW - 1:
            return Finding("limit", "fails", f"{split} with limit={FEW - 1} gives {count} examples")
    return Finding("limit", "holds", "bounds the examples of each split")


def _model(workload: Workload, model: nn.Module) -> Finding:
    if model.training:
        return Finding("model", "fails", "model() returns it in train mode; end with .eval()")
    inputs, _ = next(iter(workload.batches("validation", FEW)))
    with torch.no_grad():
        once, twice = (main_output(model(*inputs)) for _ in range(2))
    if not torch.isfinite(once).all():
        return Finding("model", "fails", "its outputs hold NaN or infinity")
    if not torch.equal(once, twice):
        return Finding(
            "model", "fails", "its outputs differ from call to call; something in it draws at random"
        )
    count = sum(parameter.numel() for parameter in model.parameters())
    shape = " x ".join(["n", *map(str, once.shape[1:])])
    return Finding("model", "holds", f"{type(model).__name__}, {count:,} parameters, outputs {shape}")


def _rows(workload: Workload, model: nn.Module) -> Finding:
    """An example's outputs do not depend on its neighbours: artifacts run with any batch."""
    inputs, _ = next(iter(workload.batches("validation", FEW)))
    with evaluating(model):
        together = main_output(model(*inputs))
        alone = torch.cat(
            [main_output(model(*(item[i : i + 1] for item in inputs))) for i in range(len(together))]
        )
    largest = max(float(together.abs().max()), 1.0)
    difference = float((together - alone).abs().max())
    if difference > CLOSE * largest:
        detail = (
            f"outputs of an example alone and in a batch differ by {difference:.2g} (largest {largest:.2g})"
        )
        return Finding("batches", "fails", detail)
    return Finding("batches", "holds", "an example's outputs do not depend on the others in its batch")


def _loss(workload: Workload, model: nn.Module) -> Finding:
    inputs, targets = next(iter(workload.batches("train", FEW)))
    model.zero_grad()
    try:
        loss = workload.loss(main_output(model(*inputs)), targets)
        if loss.ndim or not torch.isfinite(loss):
            return Finding(
                "loss", "fails", f"must be a finite scalar, not {_shown([_form(loss[None])])} {loss}"
            )
        loss.backward()  # type: ignore[no-untyped-call]
        reached = sum(p.grad is not None and bool(p.grad.any()) for p in model.parameters())
        total = sum(p.requires_grad for p in model.parameters())
    finally:
        model.zero_grad()
    if not reached:
        return Finding("loss", "fails", "its gradient reaches no parameter, so nothing can be trained")
    verdict: Verdict = "holds" if 2 * reached >= total else "warns"
    return Finding(
        "loss", verdict, f"{loss.item():.4g} on train; its gradient reaches {reached} of {total} tensors"
    )


def _form(item: Tensor) -> tuple[str, tuple[int, ...]]:
    return str(item.dtype).removeprefix("torch."), tuple(item.shape[1:])


def _shown(forms: list[tuple[str, tuple[int, ...]]]) -> str:
    return " and ".join(f"{dtype} {' x '.join(map(str, shape)) or 'scalar'}" for dtype, shape in forms)
