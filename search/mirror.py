"""A job's trials as an Optuna study in a storage of one's own, for optuna-dashboard and others.

The truth stays where jobs are stored; a mirror can be thrown away and made again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import TrialState as OptunaState
from optuna.trial import create_trial

from search.samplers.study import silently
from spaces import FLOAT_BITS, StorageError, direction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

MARK: Final = "tauten:trial"
"""User attribute that names a mirrored trial's number."""

LEAST_BITS: Final = 2
_STATES: Final = {
    "completed": OptunaState.COMPLETE,
    "gated": OptunaState.PRUNED,
    "infeasible": OptunaState.FAIL,
    "failed": OptunaState.FAIL,
}


def mirror(
    job: str, objectives: Sequence[str], trials: Iterable[Mapping[str, Any]], storage: str
) -> tuple[str, int]:
    """Adds to a study what it does not have yet; trials that have not ended are left for the next time.

    Each layer's ratio and bits is a parameter; what a policy leaves alone stands as 0 and 32. Policies of
    lower fidelity are mirrored with theirs as a user attribute. Optuna's storages take a tenth of a second a
    trial and more.

    Args:
        job: id of the job; the study is named by it.
        objectives: of the job.
        trials: documents of the job's trials, all of them, as `search.trial.Trial.to_dict` gives them.
        storage: an address that Optuna takes, such as ``sqlite:///mirror.db``.

    Returns:
        The study's name, and how many trials were added.

    Raises:
        StorageError: the storage cannot be opened or written.
    """
    name = f"tauten-{job}"
    documents = [trial for trial in trials if trial["state"] in _STATES]
    layers = sorted({layer for document in documents for layer in document["policy"]["layers"]})
    epochs = max((_epochs(document["policy"]) for document in documents), default=0.0)
    try:
        with silently():
            study = optuna.create_study(
                study_name=name,
                storage=storage,
                directions=[direction(objective) for objective in objectives],
                load_if_exists=True,
            )
            study.set_metric_names(list(objectives))
            known = {trial.user_attrs.get(MARK) for trial in study.get_trials(deepcopy=False)}
            new = [document for document in documents if document["trial"] not in known]
            study.add_trials([_frozen(document, objectives, layers, epochs) for document in new])
    except Exception as error:  # Optuna's storages raise what their drivers raise
        raise StorageError(f"the mirror cannot be written: {' '.join(str(error).split())}") from error
    return name, len(new)


def _frozen(
    document: Mapping[str, Any], objectives: Sequence[str], layers: Sequence[str], most_epochs: float
) -> FrozenTrial:
    state, metrics = _STATES[document["state"]], document["metrics"]
    params, distributions = _parameters(document["policy"], layers, most_epochs)
    is_complete = state is OptunaState.COMPLETE
    return create_trial(
        state=state,
        values=[metrics[name]["value"] for name in objectives] if is_complete else None,
        params=params,
        distributions=distributions,
        user_attrs={
            MARK: document["trial"],
            "fidelity": document["fidelity"],
            "origin": document["origin"],
            "reason": document["reason"],
            "policy_digest": document["policy_digest"],
            **{name: metric["value"] for name, metric in metrics.items()},
        },
        constraints=dict(document["violates"]) if is_complete else None,
    )


def _parameters(
    policy: Mapping[str, Any], layers: Sequence[str], most_epochs: float
) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
    student = policy["student"] or {}
    params: dict[str, Any] = {
        "student depth": student.get("depth", 1.0),
        "student width": student.get("width", 1.0),
        "recovery epochs": _epochs(policy),
    }
    kinds: dict[str, BaseDistribution] = {
        "student depth": FloatDistribution(0.0, 1.0),
        "student width": FloatDistribution(0.0, 1.0),
        "recovery epochs": FloatDistribution(0.0, max(most_epochs, 1.0)),
    }
    for layer in layers:
        part = policy["layers"].get(layer, {})
        params[f"{layer} ratio"] = (part.get("prune") or {}).get("ratio") or 0.0
        kinds[f"{layer} ratio"] = FloatDistribution(0.0, 1.0)
        for kind in ("weight", "activation"):
            params[f"{layer} {kind} bits"] = (part.get(kind) or {}).get("bits", FLOAT_BITS)
            kinds[f"{layer} {kind} bits"] = IntDistribution(LEAST_BITS, FLOAT_BITS)
    return params, kinds


def _epochs(policy: Mapping[str, Any]) -> float:
    return float((policy["recovery"] or {}).get("epochs", 0.0))
