"""Runs that were made, kept, so that a comparison can be made in pieces and printed again at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import optuna

from benchmarks.search.methods import METHODS, play
from benchmarks.search.setting import Run
from evaluators.cache import cache_root, code_digest
from search import sweep
from search.samplers import guided
from spaces import digest_of

if TYPE_CHECKING:
    from benchmarks.search.setting import Setting

VERSION: Final = 1


def kept_run(setting: Setting, method: str, trials: int, seed: int) -> Run | None:
    """A run that was made before with the same evaluations, method and code; a longer one is cut."""
    path = _path(setting, method, seed)
    if not path.exists():
        return None
    document = json.loads(path.read_text())
    if len(document["values"]) < min(trials, METHODS[method].most_trials):
        return None
    points = tuple(tuple(point) for point in document["points"])
    return Run(tuple(map(tuple, document["values"]))[:trials], document["charge"], points[:trials])


def make_run(setting: Setting, method: str, trials: int, seed: int) -> Run:
    """Plays a method and keeps the run."""
    run = play(setting, METHODS[method], trials, seed)
    path = _path(setting, method, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps({"values": run.values, "points": run.points, "charge": run.charge}))
    aside.replace(path)
    return run


def _path(setting: Setting, method: str, seed: int) -> Path:
    code = "optuna " + optuna.__version__
    if METHODS[method].is_ours:
        files = sorted(Path(str(guided.__file__)).parent.glob("*.py"))
        code = code_digest(*map(str, files), str(sweep.__file__))
    key = {"version": VERSION, "setting": setting.key, "method": method, "seed": seed, "code": code}
    return cache_root() / "search-runs" / f"{digest_of(key).removeprefix('sha256:')[:24]}.json"
