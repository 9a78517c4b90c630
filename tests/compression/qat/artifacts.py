"""Artifacts of quantized models for the tests of training through quantization."""

from __future__ import annotations

import onnxruntime
import torch
from torch import nn

from compression import export_float
from compression.quantization import quantize
from spaces import ActivationFormat, LayerPolicy, Policy, WeightFormat


def weight_layers(model):
    return [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]


def exported(workload, model, directory, *, weight, activation=None, layers=None):
    """Paths of a float file and of the quantized one made from it; all layers in one format."""
    whole, quantized = directory / "float.onnx", directory / "quantized.onnx"
    export_float(model, workload, whole)
    form = LayerPolicy(weight=weight, activation=activation or ActivationFormat(8, "static"))
    policy = Policy(layers=dict.fromkeys(layers or weight_layers(model), form))
    quantize(whole, quantized, workload, policy, reduce_range=False)
    return whole, quantized


def run(path, inputs, level="ORT_ENABLE_ALL"):
    """All outputs of a file for a tuple of tensors."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_inputs()]
    return session.run(None, dict(zip(names, (tensor.numpy() for tensor in inputs), strict=True)))


def examples(workload, split="validation", count=100):
    """Inputs and targets of the first examples of a split."""
    batches = list(workload.batches(split, 64))
    inputs = [torch.cat(parts)[:count] for parts in zip(*(batch[0] for batch in batches), strict=True)]
    return tuple(inputs), torch.cat([batch[1] for batch in batches])[:count]


def accuracy(workload, path, split="test"):
    inputs, targets = examples(workload, split, 10_000)
    return workload.metric(run(path, inputs)[0], targets.numpy())


INT8 = {"weight": WeightFormat(8), "activation": ActivationFormat(8, "static")}
