"""The recipe: a policy with its provenance and its claimed metrics, as a YAML file that stands alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from recipes.yaml_text import dump_yaml, load_yaml
from spaces import (
    InvalidPolicy,
    InvalidRecipe,
    InvalidValue,
    Metrics,
    Policy,
    Reader,
    metrics_from_dict,
    metrics_to_dict,
)

SCHEMA: Final = "tauten.recipe/1"
_WORKLOAD: Final = ("name", "model", "data")
_TARGET: Final = ("name", "fingerprint")
_ARTIFACT: Final = ("digest", "size_bytes")


@dataclass(frozen=True)
class Recipe:
    """How a compressed model is made again, and what it is said to reach.

    Attributes:
        policy: what to do.
        workload: its ``name`` and the digests of its trained ``model`` and of its ``data``.
        target: its ``name`` and the ``fingerprint`` of the host that measured.
        deployment: what of the target shapes the artifact.
        seed: of everything random.
        versions: of the libraries that made it, by name.
        claims: metrics of the artifact, by name; ``accuracy_test`` is on the test split.
        reference: metrics of the uncompressed model in the same runtime.
        artifact: its ``digest`` and ``size_bytes``.
        origin: the ``job`` and the ``trial`` that it came from, or empty.
    """

    policy: Policy
    workload: Mapping[str, str]
    target: Mapping[str, Any]
    deployment: Mapping[str, Any]
    seed: int
    versions: Mapping[str, str]
    claims: Metrics
    reference: Metrics
    artifact: Mapping[str, Any]
    origin: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, in the order of the file, which is the same for equal recipes."""
        return {
            "schema": SCHEMA,
            "policy": self.policy.to_dict(),
            "policy_digest": self.policy.digest,
            "workload": _in_order(self.workload, _WORKLOAD),
            "target": _in_order(self.target, _TARGET),
            "deployment": _sorted(self.deployment),
            "seed": self.seed,
            "claims": metrics_to_dict(dict(sorted(self.claims.items()))),
            "reference": metrics_to_dict(dict(sorted(self.reference.items()))),
            "artifact": _in_order(self.artifact, _ARTIFACT),
            "versions": _sorted(self.versions),
            "origin": _sorted(self.origin),
        }

    def to_yaml(self) -> str:
        """The file's text; the same recipe always has the same text."""
        return dump_yaml(self.to_dict())

    @classmethod
    def from_yaml(cls, text: str) -> Recipe:
        """Reads a file's text; nothing in it can run code.

        Raises:
            InvalidRecipe: it is no YAML, of an unknown schema, or a field is wrong; the pointer says which.
        """
        try:
            document = load_yaml(text)
        except InvalidValue as error:
            raise InvalidRecipe(error.faults) from error
        return cls.from_dict(document)

    @classmethod
    def from_dict(cls, document: Any) -> Recipe:
        """Reads the JSON form; see `from_yaml`."""
        try:
            return cls._read(document)
        except InvalidRecipe:
            raise
        except InvalidValue as error:
            raise InvalidRecipe(error.faults) from None

    @classmethod
    def _read(cls, document: Any) -> Recipe:
        read = Reader(document, "", InvalidRecipe)
        read.text("schema", choices=(SCHEMA,))
        policy = Policy.from_dict(read.required("policy"), "/policy")
        digest = read.text("policy_digest")
        if digest != policy.digest:
            detail = f"is {digest}, but the policy's digest is {policy.digest}: the file was changed by hand"
            raise InvalidPolicy.at("/policy_digest", detail)
        recipe = cls(
            policy,
            _strings(read, "workload", _WORKLOAD),
            _fields(read, "target", _TARGET),
            read.mapping("deployment", _as_is),
            read.whole("seed"),
            read.mapping("versions", lambda item, _: str(item)),
            metrics_from_dict(read.required("claims"), "/claims"),
            metrics_from_dict(read.required("reference"), "/reference"),
            _fields(read, "artifact", _ARTIFACT),
            read.mapping("origin", _as_is),
        )
        read.done()
        return recipe


def _in_order(document: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: _sorted(document[name]) for name in names}


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value, key=str)}
    return [_sorted(item) for item in value] if isinstance(value, list | tuple) else value


def _as_is(item: Any, _: str) -> Any:
    return item


def _fields(read: Reader, key: str, names: tuple[str, ...]) -> dict[str, Any]:
    inner = Reader(read.required(key), read.at(key), InvalidRecipe)
    found = {name: inner.required(name) for name in names}
    inner.done()
    return found


def _strings(read: Reader, key: str, names: tuple[str, ...]) -> dict[str, str]:
    inner = Reader(read.required(key), read.at(key), InvalidRecipe)
    found = {name: inner.text(name) for name in names}
    inner.done()
    return found
