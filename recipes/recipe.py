"""The recipe: a policy with its provenance and its claimed metrics, as a YAML file that stands alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from recipes.fields import read_digest, read_plain, read_string
from recipes.patterns import fold, has_patterns, unfold
from recipes.yaml_text import dump_yaml, load_yaml
from spaces import (
    Fault,
    InvalidPolicy,
    InvalidRecipe,
    InvalidValue,
    Metrics,
    Policy,
    Reader,
    layer_pointer,
    metrics_from_dict,
    metrics_to_dict,
    shown,
)

T = TypeVar("T")

SCHEMA: Final = "tauten.recipe/1"
_WORKLOAD: Final = ("name", "model", "data")
_TARGET: Final = ("name", "fingerprint")
# The digest ends the file: a file cut short lacks a field, or its last one is no digest.
_ARTIFACT: Final = ("size_bytes", "digest")
_VERSIONED: Final = re.compile(r"tauten\.recipe/(?P<version>[1-9][0-9]{0,8})")


@dataclass(frozen=True)
class Recipe:
    """How a compressed model is made again, and what it is said to reach.

    Attributes:
        policy: what to do; its layers may be named by patterns (`recipes.patterns`).
        workload: its ``name`` and the digests of its trained ``model`` and of its ``data``.
        target: its ``name`` and the ``fingerprint`` of the host that measured.
        deployment: what of the target shapes the artifact.
        seed: of everything random.
        versions: of the libraries that made it, by name.
        claims: metrics of the artifact, by name; ``accuracy_test`` is on the test split.
        reference: metrics of the uncompressed model in the same runtime.
        artifact: its ``digest`` and ``size_bytes``.
        origin: the ``job`` and the ``trial`` that it came from, or empty.
        folded_from: digest of the policy with every layer by name, where this one has patterns instead.
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
    folded_from: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, in the order of the file, which is the same for equal recipes."""
        folded = {} if self.folded_from is None else {"folded_from": self.folded_from}
        return {
            "schema": SCHEMA,
            "policy": self.policy.to_dict(),
            "policy_digest": self.policy.digest,
            **folded,
            "workload": _in_order(self.workload, _WORKLOAD),
            "target": _in_order(self.target, _TARGET),
            "deployment": _sorted(self.deployment),
            "seed": self.seed,
            "claims": metrics_to_dict(dict(sorted(self.claims.items()))),
            "reference": metrics_to_dict(dict(sorted(self.reference.items()))),
            "versions": _sorted(self.versions),
            "origin": _sorted(self.origin),
            "artifact": _in_order(self.artifact, _ARTIFACT),
        }

    def to_yaml(self) -> str:
        """The file's text; the same recipe always has the same text."""
        return dump_yaml(self.to_dict())

    def fold(self, names: Iterable[str]) -> Recipe:
        """The recipe with patterns for equal layers; see `recipes.patterns.fold`."""
        policy = fold(self.policy, names)
        if policy == self.policy:
            return self
        return replace(self, policy=policy, folded_from=self.folded_from or self.policy.digest)

    def unfold(self, names: Iterable[str]) -> Recipe:
        """The recipe with every layer by name, as a model has them; see `recipes.patterns.unfold`.

        Returns:
            What was folded, to the byte, on the model of that recipe; on another model its ``folded_from``
            stays, since its claims are not of this policy.

        Raises:
            InvalidRecipe: a pattern cannot be written out for the model.
        """
        if not has_patterns(self.policy):
            return self
        try:
            policy = unfold(self.policy, names)
        except InvalidPolicy as error:
            raise InvalidRecipe(error.below("/policy")) from None
        folded_from = None if policy.digest == self.folded_from else self.folded_from
        return replace(self, policy=policy, folded_from=folded_from)

    def for_layers(self, names: Iterable[str]) -> Recipe:
        """The recipe for a model: patterns written out, and every layer there.

        Args:
            names: of all layers of the model (`recipes.patterns.layer_names`).

        Raises:
            InvalidRecipe: a pattern fits nothing, or the model lacks layers, all of which are named.
        """
        everything = tuple(names)
        unfolded = self.unfold(everything)
        known = set(everything)
        missing = [name for name in unfolded.policy.layers if name not in known]
        if missing:
            raise InvalidRecipe(
                Fault(f"/policy{layer_pointer(name)}", f"the model has no layer {name!r}") for name in missing
            )
        return unfolded

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
        _check_schema(read)
        policy = Policy.from_dict(read.required("policy"), "/policy")
        digest = read_digest(read, "policy_digest")
        if digest != policy.digest:
            detail = f"is {digest}, but the policy's digest is {policy.digest}: the file was changed by hand"
            raise InvalidPolicy.at("/policy_digest", detail)
        folded = read.raw("folded_from")
        recipe = cls(
            policy,
            _read_workload(read),
            _read_target(read),
            _read_mapping(read, "deployment", read_plain),
            read.whole("seed"),
            _read_mapping(read, "versions", read_string),
            metrics_from_dict(read.required("claims"), "/claims"),
            metrics_from_dict(read.required("reference"), "/reference"),
            _read_artifact(read),
            _read_mapping(read, "origin", read_plain),
            None
            if folded is None
            else read_digest(Reader({"folded_from": folded}, "", InvalidRecipe), "folded_from"),
        )
        read.done()
        return recipe


def _check_schema(read: Reader) -> None:
    """Refuses other schemas; one that is newer than this version says so."""
    schema = read.text("schema")
    if schema == SCHEMA:
        return
    match = _VERSIONED.fullmatch(schema)
    if match is None:
        raise read.fail("schema", f"{shown(schema)} is not one of: {SCHEMA}")
    detail = f"{shown(schema)} was written by a newer version; this one reads {SCHEMA}: update tauten"
    raise read.fail("schema", detail)


def _read_mapping(read: Reader, key: str, item: Callable[[Any, str], T]) -> dict[str, T]:
    """An object with free keys that must be there, be it empty."""
    return Reader({key: read.required(key)}, read.pointer, InvalidRecipe).mapping(key, item)


def _read_workload(read: Reader) -> dict[str, str]:
    inner = Reader(read.required("workload"), read.at("workload"), InvalidRecipe)
    found = {"name": inner.text("name"), "model": read_digest(inner, "model")}
    found["data"] = read_digest(inner, "data")
    inner.done()
    return found


def _read_target(read: Reader) -> dict[str, Any]:
    inner = Reader(read.required("target"), read.at("target"), InvalidRecipe)
    found = {
        "name": inner.text("name"),
        "fingerprint": read_plain(inner.required("fingerprint"), inner.at("fingerprint")),
    }
    inner.done()
    return found


def _read_artifact(read: Reader) -> dict[str, Any]:
    inner = Reader(read.required("artifact"), read.at("artifact"), InvalidRecipe)
    found = {"digest": read_digest(inner, "digest"), "size_bytes": inner.whole("size_bytes")}
    inner.done()
    return found


def _in_order(document: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: _sorted(document[name]) for name in names}


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value, key=str)}
    return [_sorted(item) for item in value] if isinstance(value, list | tuple) else value
