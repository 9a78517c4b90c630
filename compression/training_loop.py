"""The loop of one training: batches, steps, looks at the calibration split. Chooses no objective."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NoReturn

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from compression.accelerator import moved
from compression.checkpoint import fingerprint_of, read_checkpoint, write_checkpoint
from compression.early_stopping import EarlyStopping
from compression.tracing import evaluating
from compression.training_state import TrainingState, random_states, set_random_states
from spaces import WorkloadError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from compression.training import Objective, Plan, Report
    from compression.workload import Batch, Workload

GRADIENT_NORMS: Final[Mapping[str, float]] = MappingProxyType({"sgd": 5.0, "adamw": 1.0})
"""The gradient of all trained parameters together is scaled down to this Euclidean norm, by optimizer."""
WEIGHT_DECAYS: Final[Mapping[str, float]] = MappingProxyType({"sgd": 1e-4, "adamw": 0.01})
_ADVICE: Final = "check the workload's data and loss, or lower recovery's learning_rate"


class TrainingLoop:
    """One training under way."""

    def __init__(
        self,
        model: nn.Module,
        workload: Workload,
        objective: Objective,
        plan: Plan,
        masks: Mapping[str, Tensor],
        device: torch.device,
    ) -> None:
        self.model, self.workload, self.objective, self.plan = model, workload, objective, plan
        self.device = device
        self.state = TrainingState(model, objective, masks)
        self.needs_several = any(isinstance(module, _BatchNorm) for module in model.modules())
        per_epoch = sum(1 for _ in self._epoch_batches(0))
        if per_epoch == 0:
            self._fail("the train split is empty, so nothing can be recovered")
        self.steps = math.ceil(per_epoch * plan.epochs)
        self.optimizer = _optimizer(self.state.parameters, plan)
        self.schedule = _schedule(self.optimizer, plan, self.steps)
        self.stopping = None if plan.patience is None else EarlyStopping.after(plan.patience, per_epoch)
        self.checkpoint: Path | None = None
        self.fingerprint, self.every_s, self.written_s = "", math.inf, time.monotonic()

    def keep(self, path: Path, every_s: float) -> None:
        """Continues from a checkpoint if this very training wrote it, and writes it from now on."""
        removed = {f"removed.{index}": gone for index, (_, gone) in enumerate(self.state.removed)}
        document = {"plan": asdict(self.plan), "steps": self.steps, "workload": self.workload.name}
        self.fingerprint = fingerprint_of(self.state.tensors() | removed, document)
        self.checkpoint, self.every_s = path, every_s
        kept = read_checkpoint(path, self.fingerprint)
        if kept is not None:
            self.state.unpack(*kept, self.optimizer, self.schedule, self.stopping)

    def run(self, report: Report) -> None:
        """Steps until the end, or until patience is over."""
        with torch.no_grad():
            for parameter, gone in self.state.removed:
                parameter.masked_fill_(gone, 0.0)
        if self.state.step == 0:
            self._look()
        batches = self._batches()
        while not self._is_over():
            inputs, targets = moved(next(batches), self.device)
            self._descend(inputs, targets)
            self._look()
            if not self._is_over():
                if time.monotonic() - self.written_s >= self.every_s:
                    self._write()
                report(self.state.step / self.steps)
        if self.stopping is not None:
            self.stopping.restore(self.state.tensors())
        self._write()
        report(1.0)

    def _is_over(self) -> bool:
        has_stopped = self.stopping is not None and self.stopping.is_over(self.state.step)
        return has_stopped or self.state.step >= self.steps

    def _descend(self, inputs: tuple[Tensor, ...], targets: Tensor) -> None:
        step = f"at step {self.state.step} of {self.steps}"
        self.model.train()
        loss = self.objective(self.model, inputs, targets)
        if not torch.isfinite(loss):
            self._fail(f"the training loss became {loss.item()} {step}; {_ADVICE}")
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for parameter, gone in self.state.removed:
            if parameter.grad is not None:
                parameter.grad.masked_fill_(gone, 0.0)
        norm = nn.utils.clip_grad_norm_(self.state.parameters, GRADIENT_NORMS[self.plan.optimizer])
        if not torch.isfinite(norm):
            self._fail(f"the norm of the training's gradient became {norm.item()} {step}; {_ADVICE}")
        self.optimizer.step()
        self.schedule.step()
        self.state.step += 1

    def _look(self) -> None:
        """Shows the calibration split's loss to early stopping, when it is due."""
        step = self.state.step
        if self.stopping is None or not (self.stopping.is_due(step) or step == self.steps):
            return
        total, examples = 0.0, 0
        with evaluating(self.model):
            for batch in self.workload.batches("calibration", self.plan.batch_size):
                inputs, targets = moved(batch, self.device)
                total += float(self.objective(self.model, inputs, targets)) * len(targets)
                examples += len(targets)
        if examples == 0:
            self._fail("the calibration split is empty; recovery's patience needs it")
        self.stopping.see(step, total / examples, self.state.tensors())

    def _batches(self) -> Iterator[Batch]:
        """Epoch after epoch, from where the state stands; the state's position follows."""
        state = self.state
        while True:
            batches = self._epoch_batches(state.epoch)
            if state.position == 0:
                state.epoch_rng = random_states()
            else:
                # A workload that draws from torch's generators while it yields draws the same again.
                here = random_states()
                set_random_states(state.epoch_rng)
                for _ in itertools.islice(batches, state.position):
                    pass
                set_random_states(here)
            for batch in batches:
                state.position += 1
                yield batch
            if state.position == 0:
                self._fail(f"epoch {state.epoch} has no train batches, though the first had")
            state.epoch, state.position = state.epoch + 1, 0

    def _epoch_batches(self, epoch: int) -> Iterator[Batch]:
        for batch in self.workload.batches("train", self.plan.batch_size, seed=self.plan.seed + epoch):
            if len(batch[1]) > 1 or not self.needs_several:
                yield batch

    def _write(self) -> None:
        if self.checkpoint is not None:
            tensors, document = self.state.pack(self.optimizer, self.schedule, self.stopping)
            write_checkpoint(self.checkpoint, tensors, document | {"fingerprint": self.fingerprint})
        self.written_s = time.monotonic()

    def _fail(self, what: str) -> NoReturn:
        raise WorkloadError(f"workload {self.workload.name!r}: {what}")


def _optimizer(parameters: list[nn.Parameter], plan: Plan) -> torch.optim.Optimizer:
    decay = WEIGHT_DECAYS[plan.optimizer]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if plan.optimizer == "sgd":
        return torch.optim.SGD(groups, plan.peak, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, plan.peak)


def _schedule(
    optimizer: torch.optim.Optimizer, plan: Plan, steps: int
) -> torch.optim.lr_scheduler.OneCycleLR:
    """One cycle, or the part of it that the plan walks in these steps."""
    start, end = plan.part
    total = round(steps / (end - start)) + 1
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.peak, total_steps=total)
    first = min(round(start * (total - 1)), total - 1 - steps)
    if first <= 0:
        return schedule
    # The first has written the cycle's ends into the optimizer, where the second reads them.
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.peak, total_steps=total, last_epoch=first - 1)
