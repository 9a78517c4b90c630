import json

import pytest
import yaml

from recipes import convert
from recipes.importers import IMPORTERS, import_policy
from spaces import (
    ActivationFormat,
    InvalidRecipe,
    LayerInfo,
    LayerInventory,
    LayerPolicy,
    Policy,
    Prune,
    UnknownName,
    WeightFormat,
)
from tests.recipes.samples import recipe

STATIC, DYNAMIC = ActivationFormat(8, "static"), ActivationFormat(8, "dynamic")
LAYERS = (
    ("stem", "conv", (16, 3, 3, 3)),
    ("block.0.up", "linear", (64, 16)),
    ("block.0.down", "linear", (16, 64)),
    ("block.1.up", "linear", (64, 16)),
    ("block.1.down", "linear", (16, 64)),
    ("table", "embedding", (100, 16)),
)
INVENTORY = LayerInventory(tuple(LayerInfo(name, op, shape, 1, 1) for name, op, shape in LAYERS))
POLICIES = {
    "torchao": {
        "block.0.up": LayerPolicy(weight=WeightFormat(8), activation=DYNAMIC),
        "block.0.down": LayerPolicy(weight=WeightFormat(5, "group", 16, symmetric=False)),
        "block.1.up": LayerPolicy(weight=WeightFormat(8, "tensor")),
        "block.1.down": LayerPolicy(weight=WeightFormat(8, "tensor"), activation=DYNAMIC),
        "table": LayerPolicy(weight=WeightFormat(4)),
    },
    "llm-compressor": {
        "block.0.up": LayerPolicy(weight=WeightFormat(8), activation=DYNAMIC),
        "block.0.down": LayerPolicy(weight=WeightFormat(5, "group", 16, symmetric=False)),
        "block.1.up": LayerPolicy(weight=WeightFormat(8, "tensor"), activation=STATIC),
        "block.1.down": LayerPolicy(weight=WeightFormat(6), activation=ActivationFormat(8, "static", "mse")),
    },
    "olive": {
        "stem": LayerPolicy(weight=WeightFormat(8), activation=STATIC),
        "block.0.up": LayerPolicy(weight=WeightFormat(8), activation=STATIC),
        "block.0.down": LayerPolicy(weight=WeightFormat(8), activation=DYNAMIC),
    },
}


def written(document, name):
    return import_policy(yaml.safe_dump(document, sort_keys=False), name, INVENTORY)


@pytest.mark.parametrize("name", POLICIES)
def test_what_a_converter_writes_its_importer_reads_back(name):
    policy = Policy(layers=POLICIES[name])

    conversion = convert(recipe(policy), name, INVENTORY)
    imported = import_policy(conversion.text, name, INVENTORY)

    assert [loss for loss in conversion.losses if loss.layer] == []
    assert imported.policy == policy
    assert imported.ignored == ()


def test_a_hand_written_recipe_of_llm_compressor_is_read_by_class_pattern_and_scheme():
    document = {
        "first_stage": {
            "sparsity_modifiers": {
                "SparseGPTModifier": {
                    "sparsity": 0.5, "mask_structure": "2:4", "targets": [r"re:block\.\d+\.up"],
                }
            }
        },
        "second_stage": {
            "quant_modifiers": {
                "GPTQModifier": {"scheme": "W4A16", "targets": "Linear", "ignore": ["block.1.down", "lm_head"]}
            }
        },
    }  # fmt: skip

    imported = written(document, "llm-compressor")

    int4 = WeightFormat(4, "group", 128)
    assert dict(imported.policy.layers) == {
        "block.0.up": LayerPolicy(Prune(0.5, "2:4"), int4),
        "block.0.down": LayerPolicy(weight=int4),
        "block.1.up": LayerPolicy(Prune(0.5, "2:4"), int4),
    }
    assert [line.split(": ")[1] for line in imported.ignored] == [
        "sparsity is taken, by magnitude; the method of SparseGPTModifier is not",
        "bits are taken, the method of GPTQModifier is not",
    ]


def test_torchaos_precedence_holds():
    def weights(bits):
        data = {
            "weight_dtype": {"_type": "torch.dtype", "_data": f"int{bits}"},
            "granularity": {"_type": "PerAxis", "_version": 1, "_data": {"axis": 0}},
            "mapping_type": {"_type": "MappingType", "_data": "SYMMETRIC"},
        }
        return {"_type": "IntxWeightOnlyConfig", "_version": 2, "_data": data}

    entries = {
        "_default": weights(8),
        r"re:block\.0\..*": weights(4),
        "re:block.*up": weights(3),
        "block.0.up.weight": weights(2),
        "block.1.down": None,
    }

    imported = written({"_type": "FqnToConfig", "_data": {"fqn_to_config": entries}}, "torchao")

    assert {name: layer.weight.bits for name, layer in imported.policy.layers.items()} == {
        "block.0.up": 2,
        "block.0.down": 4,
        "block.1.up": 3,
    }


def test_olives_overrides_come_before_its_default():
    passes = {
        "q": {
            "type": "Rtn", "bits": 4, "group_size": 16, "sym": True,
            "overrides": {"block.0.up": {"bits": 8, "group_size": -1}},
        },
        "c": {"type": "OnnxConversion"},
    }  # fmt: skip

    imported = written({"input_model": {"type": "HfModel"}, "passes": passes}, "olive")

    assert {name: layer.weight for name, layer in imported.policy.layers.items()} == {
        "block.0.up": WeightFormat(8),
        "block.0.down": WeightFormat(4, "group", 16),
        "block.1.up": WeightFormat(4, "group", 16),
        "block.1.down": WeightFormat(4, "group", 16),
    }
    assert imported.ignored == (
        "/passes/q: bits are taken, the method Rtn is not",
        "/passes/c: the pass OnnxConversion has no counterpart in a policy",
    )


@pytest.mark.parametrize(
    ("name", "document", "says"),
    [
        ("torchao", {"_type": "Int4WeightOnlyConfig", "_data": {}}, "/_type: 'Int4WeightOnlyConfig' is not"),
        ("torchao", {"_type": "FqnToConfig", "_data": []}, "/_data: must be an object, not a list"),
        ("torchao", {"_type": "FqnToConfig", "_data": {"fqn_to_config": {"gone": None}}}, "'gone' means no layer"),
        ("torchao", {"_type": "FqnToConfig", "_data": {"fqn_to_config": {"re:(a+)+": None}}}, "can run for ever"),
        ("torchao", [], "must be an object, not a list"),
        ("llm-compressor", {"quantize": 8}, "holds no *_modifiers"),
        ("llm-compressor", {"m_modifiers": {"QuantizationModifier": {"scheme": "FP8"}}}, "/scheme: 'FP8' is not"),
        (
            "llm-compressor",
            {"m_modifiers": {"WandaPruningModifier": {"sparsity": 0.9, "mask_structure": "2:4"}}},
            "/ratio: '2:4' removes 0.5, not 0.9",
        ),
        ("olive", {"passes": None}, "/passes: is required"),
        ("olive", {"passes": {"q": {"type": "Rtn", "bits": "many"}}}, "/passes/q/bits: must be a number of bits"),
        ("olive", {"passes": {"q": {"type": "OnnxStaticQuantization"}}}, "/passes/q/nodes_to_quantize: must name"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_at_its_place(name, document, says):
    with pytest.raises(InvalidRecipe) as caught:
        import_policy(json.dumps(document), name, INVENTORY)

    assert says in str(caught.value)


def test_an_unknown_format_lists_the_known_ones():
    with pytest.raises(UnknownName, match=", ".join(sorted(IMPORTERS))):
        import_policy("{}", "stone", INVENTORY)
