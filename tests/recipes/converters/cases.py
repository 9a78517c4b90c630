"""Trained models with the claims that a recipe would make of them, and what tests read of a tool's result."""

import numpy as np
import torch

from compression import compress, export_float, take_inventory
from compression.artifact import Deployment
from compression.workload import main_output
from evaluators.accuracy import accuracy
from evaluators.runtime import open_session, predict
from recipes import convert
from spaces import ActivationFormat, LayerPolicy, WeightFormat
from tests.recipes.samples import recipe

DEPLOYMENT = Deployment()
STATIC = LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "static"))


class Applied:
    """A policy, compressed for real: the recipe that claims its accuracy, and the model that tools start from."""

    def __init__(self, workload, model, policy, directory):
        self.workload, self.policy = workload, policy
        self.inventory = take_inventory(model, workload.example_inputs())
        made = compress(workload, model, policy, directory / "artifact.onnx", deployment=DEPLOYMENT)
        self.model = made.model
        self.float_onnx = directory / "float.onnx"
        export_float(made.model, workload, self.float_onnx)
        claim = self.accuracy_of_file(directory / "artifact.onnx")
        self.recipe = recipe(policy, claims={"accuracy": claim}, deployment=DEPLOYMENT.to_dict())

    def convert(self, name):
        return convert(self.recipe, name, self.inventory)

    def accuracy_of_file(self, path):
        return accuracy(
            self.workload, *predict(open_session(path), self.workload, "validation"), "validation"
        )

    def accuracy_of_model(self, model):
        with torch.no_grad():
            parts = [
                main_output(model(*inputs)).numpy() for inputs, _ in self.workload.batches("validation", 64)
            ]
        return self.accuracy_of_outputs(np.concatenate(parts))

    def accuracy_of_outputs(self, outputs):
        targets = [expected.numpy() for _, expected in self.workload.batches("validation", 64)]
        return accuracy(self.workload, np.asarray(outputs), np.concatenate(targets), "validation")

    def is_as_claimed(self, found):
        claim = self.recipe.claims["accuracy"]
        return claim.low <= found.value <= claim.high

    def calibration(self):
        name = open_session(self.float_onnx).inputs[0].name
        batches = self.workload.batches("calibration", 16, limit=80)  # of equal size
        return [{name: inputs[0].numpy()} for inputs, _ in batches]


class Reading:
    """Calibration data as ONNX Runtime asks for it."""

    def __init__(self, feeds):
        self._feeds = iter(feeds)

    def get_next(self):
        return next(self._feeds, None)


def losses_by_layer(conversion):
    return {(loss.layer, loss.part) for loss in conversion.losses}
