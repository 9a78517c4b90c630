import copy
import json

import pytest
import torch
from torch import nn

from compression import take_inventory
from recipes import convert
from spaces import (
    ActivationFormat,
    LayerInfo,
    LayerInventory,
    LayerPolicy,
    Policy,
    Prune,
    Recovery,
    WeightFormat,
)
from tests.models import Around, Attention
from tests.recipes.converters.cases import STATIC, Applied, losses_by_layer
from tests.recipes.samples import recipe

pytestmark = pytest.mark.filterwarnings("ignore")  # torchao warns while it loads kernels for other machines

DYNAMIC = ActivationFormat(8, "dynamic")
POLICY = Policy(
    layers={
        "embed": LayerPolicy(weight=WeightFormat(8, "tensor")),
        "query": LayerPolicy(weight=WeightFormat(8), activation=DYNAMIC),
        "key": LayerPolicy(weight=WeightFormat(8, "tensor"), activation=DYNAMIC),
        "value": LayerPolicy(weight=WeightFormat(4, "group", 8, symmetric=False)),
        "mix": LayerPolicy(weight=WeightFormat(6)),
        "up": LayerPolicy(weight=WeightFormat(5, symmetric=False)),
        "down": LayerPolicy(weight=WeightFormat(4, "group", 16), activation=DYNAMIC),
    }
)


def run_tool(text, model):
    from torchao.core.config import config_from_dict
    from torchao.quantization import quantize_

    quantized = copy.deepcopy(model)
    quantize_(quantized, config_from_dict(json.loads(text)), filter_fn=None)
    return quantized


def read_layer(module):
    """``(weight bits, granularity, activations)`` of what the tool made."""
    weight = module.weight
    if type(weight) is nn.Parameter or not hasattr(weight, "qdata"):
        return 32, None, None
    bits = int(str(getattr(weight, "target_dtype", torch.int8)).removeprefix("torch.int"))
    size = weight.shape[1] // weight.scale.shape[1] if weight.scale.ndim > 1 else weight.shape[1]
    by = "tensor" if weight.scale.numel() == 1 else f"group {size}" if size < weight.shape[1] else "channel"
    dynamic = getattr(weight, "activation_quantization", None) or getattr(weight, "act_quant_kwargs", None)
    return bits, by, "dynamic" if dynamic is not None else "none"


@pytest.fixture(scope="module")
def applied(digits, tmp_path_factory):
    workload = Around(digits, Attention, epochs=120)
    return Applied(workload, workload.model(), POLICY, tmp_path_factory.mktemp("torchao"))


def test_each_layer_gets_its_bits_and_granularity_and_the_model_its_claimed_accuracy(applied):
    conversion = applied.convert("torchao")

    made = run_tool(conversion.text, applied.model)

    found = {name: read_layer(made.get_submodule(name)) for name in applied.inventory.by_name}
    assert conversion.losses == ()
    assert found == {
        "embed": (8, "tensor", "none"),
        "query": (8, "channel", "dynamic"),
        "key": (8, "tensor", "dynamic"),
        "value": (4, "group 8", "none"),
        "mix": (6, "channel", "none"),
        "up": (5, "channel", "none"),
        "down": (4, "group 16", "dynamic"),
        "out": (32, None, None),
    }
    assert applied.is_as_claimed(applied.accuracy_of_model(made))


def test_affine_weights_have_zero_points_and_symmetric_ones_none(applied):
    made = run_tool(applied.convert("torchao").text, applied.model)

    assert bool(made.up.weight.zero_point.any())
    assert not bool(made.mix.weight.zero_point.any())


def test_the_file_is_what_the_tool_itself_writes(applied):
    from torchao.core.config import config_from_dict, config_to_dict

    document = json.loads(applied.convert("torchao").text)

    assert config_to_dict(config_from_dict(document)) == document


def test_a_convolution_is_refused_for_the_tool_would_scale_each_position_of_its_kernel(digits, digits_model):
    from torchao.quantization import FqnToConfig, IntxWeightOnlyConfig, PerAxis, quantize_

    policy = Policy(layers={"stage1.0.conv1": LayerPolicy(weight=WeightFormat(8))})

    conversion = convert(recipe(policy), "torchao", take_inventory(digits_model, digits.example_inputs()))
    made = copy.deepcopy(digits_model)
    quantize_(made, FqnToConfig({"stage1.0.conv1": IntxWeightOnlyConfig(torch.int8, PerAxis(0))}), None)

    assert losses_by_layer(conversion) == {("stage1.0.conv1", "weight")}
    assert tuple(made.get_submodule("stage1.0.conv1").weight.scale.shape) == (64, 1, 3, 3)


def test_an_embedding_gets_a_scale_for_each_row(digits):
    model = nn.Sequential(nn.Embedding(20, 16))
    inventory = LayerInventory((LayerInfo("0", "embedding", (20, 16), 0, 320),))
    policy = Policy(layers={"0": LayerPolicy(weight=WeightFormat(4))})

    made = run_tool(convert(recipe(policy), "torchao", inventory).text, model)

    assert (made[0].weight.target_dtype, tuple(made[0].weight.scale.shape)) == (torch.int4, (20, 1))
    indices = torch.arange(20)
    assert float((made(indices) - model(indices)).abs().max()) < float(model[0].weight.abs().max()) / 7


@pytest.mark.parametrize(
    ("layer", "part"),
    [
        (STATIC, "activation"),
        (LayerPolicy(weight=WeightFormat(16)), "weight"),
        (LayerPolicy(weight=WeightFormat(4, "tensor")), "weight"),
        (LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(4, "dynamic")), "activation"),
        (LayerPolicy(Prune(0.5)), "prune"),
        (LayerPolicy(Prune(0.5, "2:4")), "prune"),
    ],
)
def test_what_it_cannot_say_is_left_out_and_named(applied, layer, part):
    conversion = convert(recipe(Policy(layers={"mix": layer})), "torchao", applied.inventory)

    assert losses_by_layer(conversion) == {("mix", part)}
    assert json.loads(conversion.text)["_data"]["fqn_to_config"] == {}


def test_training_is_named_as_lost(applied):
    recovery = Recovery(2.0, qat=True, bias_correction=True)

    conversion = convert(recipe(Policy(recovery=recovery)), "torchao", applied.inventory)

    assert [loss.lost.split(":")[0] for loss in conversion.losses] == [
        "2 epochs of training",
        "quantization-aware training",
        "bias correction",
    ]
