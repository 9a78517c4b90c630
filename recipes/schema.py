"""The JSON Schema of a recipe (draft 2020-12), made of the values that the reader checks by.

It says what can be said of a field by itself. What fields say of each other (that bits of 8 or fewer need a
mode, that the digest is the policy's) only `Recipe.from_dict` checks.
"""

from __future__ import annotations

from typing import Any, Final, get_args

from recipes.fields import DIGEST_PATTERN
from recipes.recipe import SCHEMA
from spaces import SCHEMA as POLICY_SCHEMA
from spaces import Calibration, Criterion, Method
from spaces.formats import BITS, ActivationMode, WeightGranularity
from spaces.recovery import MOST_STEPS, Features, Optimizer, Penalty, Quantizer

ADDRESS: Final = "https://tauten.dev/schemas/tauten.recipe-1.schema.json"
"""A name, not a place: nothing is fetched from it."""

_TEXT: Final = {"type": "string"}
_FLAG: Final = {"type": ["boolean", "null"]}
_NUMBER: Final = {"type": ["number", "null"]}
_ANY_OBJECT: Final = {"type": "object"}
_DIGEST: Final = {"type": "string", "pattern": DIGEST_PATTERN}


def recipe_schema() -> dict[str, Any]:
    """The schema of ``tauten.recipe/1``, as JSON."""
    metrics = {"type": "object", "additionalProperties": {"$ref": "#/$defs/metric"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ADDRESS,
        "title": SCHEMA,
        "description": "A compression policy with its provenance and its claimed metrics.",
        **_object(
            {
                "schema": {"const": SCHEMA},
                "policy": {"$ref": "#/$defs/policy"},
                "policy_digest": _DIGEST,
                "folded_from": _or_null(_DIGEST),
                "workload": _object({"name": _TEXT, "model": _DIGEST, "data": _DIGEST}, "all"),
                "target": _object({"name": _TEXT, "fingerprint": {}}, "all"),
                "deployment": _ANY_OBJECT,
                "seed": {"type": "integer", "minimum": 0},
                "claims": metrics,
                "reference": metrics,
                "versions": {"type": "object", "additionalProperties": _TEXT},
                "origin": _ANY_OBJECT,
                "artifact": _object(
                    {"size_bytes": {"type": "integer", "minimum": 0}, "digest": _DIGEST}, "all"
                ),
            },
            "schema policy policy_digest workload target deployment seed claims reference versions origin"
            " artifact",
        ),
        "$defs": {"metric": _metric(), "policy": _policy(), "layer": _layer(), "recovery": _recovery()},
    }


def _metric() -> dict[str, Any]:
    return _object(
        {
            "value": {"type": "number"},
            "unit": _TEXT,
            "method": _or_null({"enum": [str(method) for method in Method]}),
            "low": _NUMBER,
            "high": _NUMBER,
            "split": {"type": ["string", "null"]},
            "speedup": _NUMBER,
            "ratio": _NUMBER,
            "contended": _FLAG,
        },
        "value unit",
    )


def _policy() -> dict[str, Any]:
    student = _object(
        {
            "family": {"type": ["string", "null"], "minLength": 1},
            "depth": _NUMBER | {"exclusiveMinimum": 0, "maximum": 1},
            "width": _NUMBER | {"exclusiveMinimum": 0, "maximum": 1},
        }
    )
    layers = {
        "type": ["object", "null"],
        "propertyNames": {"minLength": 1},
        "additionalProperties": {"$ref": "#/$defs/layer"},
    }
    return _object(
        {
            "schema": {"const": POLICY_SCHEMA},
            "student": _or_null(student),
            "layers": layers,
            "recovery": _or_null({"$ref": "#/$defs/recovery"}),
        },
        "schema",
    )


def _layer() -> dict[str, Any]:
    prune = _object(
        {
            "ratio": _NUMBER | {"minimum": 0, "exclusiveMaximum": 1},
            "granularity": {
                "type": ["string", "null"],
                "pattern": "^(weight|channel|head|layer|[1-9][0-9]?:[1-9][0-9]?)$",
            },
            "criterion": _choice(Criterion),
            "threshold": _NUMBER | {"exclusiveMinimum": 0},
        }
    )
    weight = _object(
        {
            "bits": {"enum": list(BITS)},
            "granularity": _choice(WeightGranularity),
            "group_size": {"type": ["integer", "null"], "minimum": 1},
            "symmetric": _FLAG,
        },
        "bits",
    )
    activation = _object(
        {"bits": {"enum": list(BITS)}, "mode": _choice(ActivationMode), "calibration": _choice(Calibration)},
        "bits",
    )
    return _object({"prune": _or_null(prune), "weight": _or_null(weight), "activation": _or_null(activation)})


def _recovery() -> dict[str, Any]:
    distill = _object(
        {
            "temperature": _NUMBER | {"exclusiveMinimum": 0},
            "alpha": _NUMBER | {"minimum": 0, "maximum": 1},
            "features": _choice(Features),
            "feature_weight": _NUMBER | {"exclusiveMinimum": 0},
        }
    )
    sparsity = _object(
        {
            "penalty": {"enum": list(get_args(Penalty))},
            "strength": {"type": "number", "exclusiveMinimum": 0},
            "epochs": _NUMBER | {"exclusiveMinimum": 0},
        },
        "penalty strength",
    )
    return _object(
        {
            "epochs": _NUMBER | {"minimum": 0},
            "qat": _FLAG,
            "distill": _or_null(distill),
            "optimizer": _choice(Optimizer),
            "learning_rate": _NUMBER | {"exclusiveMinimum": 0},
            "patience": _NUMBER | {"exclusiveMinimum": 0},
            "prune_steps": {"type": ["integer", "null"], "minimum": 1, "maximum": MOST_STEPS},
            "sparsity": _or_null(sparsity),
            "qat_share": _NUMBER | {"exclusiveMinimum": 0, "maximum": 1},
            "quantizer": _choice(Quantizer),
            "bn_reestimation": _FLAG,
            "equalization": _FLAG,
            "bias_correction": _FLAG,
        }
    )


def _object(fields: dict[str, Any], required: str = "") -> dict[str, Any]:
    names = list(fields) if required == "all" else required.split()
    form = {"type": "object", "properties": fields, "additionalProperties": False}
    return form | ({"required": names} if names else {})


def _choice(literal: Any) -> dict[str, Any]:
    return {"enum": [*get_args(literal), None]}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}
