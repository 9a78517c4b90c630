"""Where the service keeps its things, where it listens and whom it serves; read once, at start.

What is given on the command line comes first, then ``TAUTEN_…`` variables, then the table ``[service]`` of
``tauten.toml``, then defaults. All that is wrong is said at once.
"""

from __future__ import annotations

import ipaddress
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from spaces import Fault, InvalidValue, shown

DEFAULT_PORT: Final = 8321
MAX_PORT: Final = 65_535
MAX_WORKERS: Final = 64
FILE: Final = "tauten.toml"
MIB: Final = 1 << 20
LOG_FORMATS: Final = ("logfmt", "json")
RUNNERS: Final = ("local", "ray")


class InvalidSettings(InvalidValue):
    """The service cannot start as it is configured."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the API process and of workers.

    Attributes:
        data_dir: database (SQLite), artifacts, locks and scratch files.
        database_url: ``sqlite:////…`` or ``postgresql://…``.
        host: address to listen on; loopback by default.
        port: to listen on.
        workers: worker processes that the API process starts and watches; 0 starts none.
        targets_dir: directory of hardware targets besides the shipped ones, or ``None``.
        allowed_hosts: names in a request's ``Host`` besides the address itself; with keys, none means any.
        require_key: an API key is needed on loopback too, as behind a proxy.
        min_free_bytes: with less disk space the service is not ready, and workers take no job.
        log_format: of the lines on standard error.
        offers: targets whose jobs the workers take; all where none are given.
        samplers: samplers of other packages, as ``module:Class``, that jobs may name; using one imports it.
        artifacts_url: a bucket for finished files, such as ``s3://bucket/prefix``; ``None``: the directory.
        runner: whose jobs they take: ``local``, this machine; ``ray``, a cluster.
        ray_address: of the cluster's head; ``None`` starts one on this machine.
    """

    data_dir: Path
    database_url: str
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    workers: int = 1
    targets_dir: Path | None = None
    allowed_hosts: tuple[str, ...] = ()
    require_key: bool = False
    min_free_bytes: int = 256 * MIB
    log_format: str = "logfmt"
    offers: tuple[str, ...] = ()
    samplers: tuple[str, ...] = ()
    artifacts_url: str | None = None
    runner: str = "local"
    ray_address: str | None = None

    @property
    def artifacts_dir(self) -> Path:
        """Finished files, by content, or copies of those in the bucket."""
        return self.data_dir / "artifacts"

    @property
    def scratch_dir(self) -> Path:
        """Files of running jobs."""
        return self.data_dir / "scratch"

    @property
    def is_loopback(self) -> bool:
        """The service can be reached from this machine alone."""
        return is_loopback(self.host)

    @property
    def needs_key(self) -> bool:
        """Every call must show an API key."""
        return self.require_key or not self.is_loopback

    @classmethod
    def load(
        cls,
        *,
        data_dir: Path | None = None,
        database_url: str | None = None,
        environ: Mapping[str, str] = os.environ,
        directory: Path | None = Path(),
        **given: Any,
    ) -> Self:
        """Puts the settings together.

        The default directory is ``tauten`` in the user's data directory; the database is SQLite in it.

        Args:
            data_dir: as given on the command line, like the rest.
            database_url: likewise.
            environ: the variables.
            directory: where ``tauten.toml`` may lie, unless ``TAUTEN_CONFIG`` names a file; ``None``: none.
            given: other fields, by name; ``None`` counts as not given.

        Raises:
            InvalidSettings: with every fault.
        """
        faults: list[Fault] = []
        values: dict[str, Any] = _from_file(environ, directory, faults) | _from_environment(environ, faults)
        values |= {name: value for name, value in given.items() if value is not None}
        if data_dir is not None:
            values["data"] = data_dir
        if database_url is not None:
            values["database"] = database_url
        home = Path(environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "tauten"
        place = Path(values.pop("data", home)).absolute()
        url = values.pop("database", f"sqlite:///{place / 'tauten.db'}")
        if "targets" in values:
            values["targets_dir"] = Path(values.pop("targets")).absolute()
        if "artifacts" in values:
            values["artifacts_url"] = values.pop("artifacts")
        if "min_free_mb" in values:
            values["min_free_bytes"] = values.pop("min_free_mb") * MIB
        if faults:
            raise InvalidSettings(faults)
        return cls(place, url, **values)


def is_loopback(host: str) -> bool:
    """An address, or a name for it, that only this machine can reach."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"must be a text, not {shown(value)}")
    return value


def _address(value: Any) -> str:
    scheme, found, path = _text(value).partition("://")
    if not found or not scheme.isalnum() or not path.strip("/"):
        raise ValueError(f"must be the address of a bucket such as s3://bucket/prefix, not {shown(value)}")
    if "@" in path:
        raise ValueError("must hold no credentials; they come from the environment or the cloud's own files")
    return str(value)


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",") if name.strip()]
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise ValueError(f"must be a list of names, not {shown(value)}")
    return tuple(value)


def _flag(value: Any) -> bool:
    flag = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    known = value if isinstance(value, bool) else flag.get(str(value).lower())
    if known is None:
        raise ValueError(f"must be true or false, not {shown(value)}")
    return known


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        text = str(value).strip()
        if (
            isinstance(value, bool)
            or not text.isascii()
            or not text.isdigit()
            or not low <= int(text) <= high
        ):
            raise ValueError(f"must be a whole number from {low} to {high}, not {shown(value)}")
        return int(text)

    return read


def _format(value: Any) -> str:
    if value not in LOG_FORMATS:
        raise ValueError(f"must be one of: {', '.join(LOG_FORMATS)}; not {shown(value)}")
    return str(value)


def _runner(value: Any) -> str:
    if value not in RUNNERS:
        raise ValueError(f"must be one of: {', '.join(RUNNERS)}; not {shown(value)}")
    return str(value)


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "data": _text,
    "artifacts": _address,
    "database": _text,
    "host": _text,
    "port": _whole(1, MAX_PORT),
    "workers": _whole(0, MAX_WORKERS),
    "targets": _text,
    "allowed_hosts": _names,
    "require_key": _flag,
    "min_free_mb": _whole(0, 1 << 30),
    "log_format": _format,
    "offers": _names,
    "samplers": _names,
    "runner": _runner,
    "ray_address": _text,
}
"""What may stand in the file, and as ``TAUTEN_`` with its name in capitals."""


def _from_environment(environ: Mapping[str, str], faults: list[Fault]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, read in _READERS.items():
        variable = f"TAUTEN_{name.upper()}"
        text = environ.get(variable)
        if text:
            _read(values, name, read, text, variable, faults)
    return values


def _from_file(environ: Mapping[str, str], directory: Path | None, faults: list[Fault]) -> dict[str, Any]:
    named = environ.get("TAUTEN_CONFIG")
    if not named and directory is None:
        return {}
    path = Path(named) if named else (directory or Path()) / FILE
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named:
            faults.append(Fault("TAUTEN_CONFIG", f"{path} does not exist"))
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        faults.append(Fault(str(path), f"cannot be read: {error}"))
        return {}
    table = document.get("service", {})
    if not isinstance(table, dict):
        faults.append(Fault(f"{path} [service]", f"must be a table, not {shown(table)}"))
        return {}
    values: dict[str, Any] = {}
    for name, value in table.items():
        place = f"{path} [service] {name}"
        if name not in _READERS:
            faults.append(Fault(place, f"is not known; there are: {', '.join(_READERS)}"))
            continue
        _read(values, name, _READERS[name], value, place, faults)
    return values


def _read(
    values: dict[str, Any],
    name: str,
    read: Callable[[Any], Any],
    value: Any,
    place: str,
    faults: list[Fault],
) -> None:
    try:
        values[name] = read(value)
    except ValueError as error:
        faults.append(Fault(place, str(error)))
