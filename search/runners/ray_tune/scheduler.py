"""Stops trials of Ray Tune early by several objectives; Ray's own schedulers take one metric."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from search.fidelity import REDUCTION, SuccessiveHalving
from spaces import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class MultiObjectiveASHA(FIFOScheduler):
    """Asynchronous successive halving by non-dominated rank and epsilon-net, see `search.fidelity`.

    At each rung a trial goes on while it is among the best part of those that have reached the rung so far,
    and is stopped otherwise; at the last rung it is stopped in any case. Nobody waits for others.

    Args:
        objectives: ``"min"`` or ``"max"`` by the name under which trials report them.
        rungs: amounts of `time_attr`, ascending; the last is where trials end.
        time_attr: what a trial reports of how far it is; Tune counts ``training_iteration`` itself.
        reduction: one of so many goes on, at least 2.

    Raises:
        InvalidValue: an argument is wrong.
    """

    def __init__(
        self,
        objectives: Mapping[str, str],
        rungs: Sequence[float],
        *,
        time_attr: str = "training_iteration",
        reduction: int = REDUCTION,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        wrong = [name for name, mode in objectives.items() if mode not in {"min", "max"}]
        if wrong or not objectives:
            raise InvalidValue.at("/objectives", f"must be 'min' or 'max' by name, not {dict(objectives)}")
        self._signs = {name: 1.0 if mode == "min" else -1.0 for name, mode in objectives.items()}
        self._time_attr = time_attr
        self._halving = SuccessiveHalving(rungs, reduction)
        self._next: dict[str, int] = {}
        self._stopped = 0

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Refuses Tune's single metric: the objectives are several and given already."""
        return metric is None and mode is None

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> str:
        """Whether a trial that has reported goes on.

        A trial that passes several rungs at once is compared on the highest of them. A missing objective is
        worse than any number.

        Raises:
            KeyError: the result lacks `time_attr`.
        """
        reached = [
            rung
            for rung, amount in enumerate(self._halving.rungs)
            if rung >= self._next.get(trial.trial_id, 0) and result[self._time_attr] >= amount
        ]
        if not reached:
            return str(TrialScheduler.CONTINUE)
        self._next[trial.trial_id] = reached[-1] + 1
        values = [
            float("nan") if result.get(name) is None else sign * float(result[name])
            for name, sign in self._signs.items()
        ]
        if self._halving.report(trial.trial_id, reached[-1], values) == "continue":
            return str(TrialScheduler.CONTINUE)
        self._stopped += reached[-1] < len(self._halving.rungs) - 1
        return str(TrialScheduler.STOP)

    def save(self, checkpoint_path: str) -> None:
        """Writes what was reported, for `restore`."""
        Path(checkpoint_path).write_bytes(pickle.dumps((self._halving, self._next, self._stopped)))

    def restore(self, checkpoint_path: str) -> None:
        """Goes on where `save` was called; the file must be one's own, since it is a pickle."""
        content = Path(checkpoint_path).read_bytes()
        self._halving, self._next, self._stopped = pickle.loads(content)  # noqa: S301 - written by `save`

    def debug_string(self) -> str:
        """For Tune's console."""
        return f"Multi-objective halving at {self._halving.rungs}: {self._stopped} trials stopped early"
