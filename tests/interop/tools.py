"""The tools that get an environment of their own, and the policy that each is tried with."""

from __future__ import annotations

from dataclasses import dataclass

from spaces import ActivationFormat, LayerPolicy, Policy, WeightFormat
from tests.models import Attention, Flattening

STATIC = ActivationFormat(8, "static")
DYNAMIC = ActivationFormat(8, "dynamic")


def quantized(weight, activation=None):
    return LayerPolicy(weight=weight, activation=activation)


@dataclass(frozen=True)
class Tool:
    """One of them.

    Attributes:
        format: of `recipes.FORMATS`.
        distribution: whose version is told.
        packages: to install; what the distribution needs and does not say is named too.
        network: of `tests.models`.
        policy: with a layer that the format refuses, where there is one.
    """

    format: str
    distribution: str
    packages: tuple[str, ...]
    network: type
    policy: Policy

    @property
    def check(self):
        """The script that runs in the environment."""
        return f"{self.format.replace('-', '_')}.py"


TOOLS = (
    Tool(
        "llm-compressor",
        "llmcompressor",
        ("llmcompressor==0.14.0.1",),
        Attention,
        Policy(
            layers={
                "embed": quantized(WeightFormat(8), STATIC),
                "query": quantized(WeightFormat(8), DYNAMIC),
                "key": quantized(WeightFormat(4, "group", 8, symmetric=False)),
                "up": quantized(WeightFormat(6)),
                "down": quantized(WeightFormat(8, "tensor"), ActivationFormat(8, "static", "mse")),
                "out": quantized(WeightFormat(16)),
            }
        ),
    ),
    Tool(
        "modelopt",
        "nvidia-modelopt",
        ("nvidia-modelopt==0.47.0", "requests", "huggingface_hub"),
        Flattening,
        Policy(
            layers={
                "a_1": quantized(WeightFormat(8, "tensor"), STATIC),
                "Zwei": quantized(WeightFormat(8), STATIC),
                "last_one": quantized(WeightFormat(4, "group", 32)),
                "weight_": quantized(WeightFormat(8), DYNAMIC),
            }
        ),
    ),
    Tool(
        "neural-compressor",
        "neural-compressor-pt",
        ("neural-compressor-pt==3.10",),
        Attention,
        Policy(
            layers={
                "query": quantized(WeightFormat(8)),
                "key": quantized(WeightFormat(5, "group", 8, symmetric=False)),
                "up": quantized(WeightFormat(4, "group", 8)),
                "down": quantized(WeightFormat(6)),
                "out": quantized(WeightFormat(8), STATIC),
            }
        ),
    ),
    Tool(
        "olive",
        "olive-ai",
        ("olive-ai==0.13.0", "onnxruntime==1.32.0", "requests"),
        Flattening,
        Policy(
            layers={
                "Zwei": quantized(WeightFormat(8), STATIC),
                "last_one": quantized(WeightFormat(8), STATIC),
                "weight_": quantized(WeightFormat(8), STATIC),
                "a_1": quantized(WeightFormat(4)),
            }
        ),
    ),
    Tool(
        "aimet",
        "aimet-torch",
        ("aimet-torch==2.42.0",),
        Flattening,
        Policy(
            layers={
                "a_1": quantized(WeightFormat(8), STATIC),
                "Zwei": quantized(WeightFormat(8), STATIC),
                "last_one": quantized(WeightFormat(8, "tensor"), STATIC),
                "weight_": quantized(WeightFormat(8, "tensor"), STATIC),
            }
        ),
    ),
)
