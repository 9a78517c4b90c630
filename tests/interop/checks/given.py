"""What a check is given in its directory, and how it answers; runs where only torch and the tool are."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path

import torch

import tests.models


class Given:
    """Model, data and the converted recipe, in the directory that becomes the working directory.

    Args:
        directory: with ``given.json``, ``weights.pt``, ``calibration.pt``, ``validation.pt`` and the recipe.
    """

    def __init__(self, directory):
        torch.set_num_threads(1)
        os.chdir(directory)
        known = json.loads(Path("given.json").read_text())
        self.names, self.file = known["layers"], Path(known["file"])
        self._distribution = known["distribution"]
        self.model = getattr(tests.models, known["network"])().eval()
        self.model.load_state_dict(torch.load("weights.pt"))
        self.calibration = torch.load("calibration.pt")
        self.validation = torch.load("validation.pt")

    def layers(self):
        return [(name, self.model.get_submodule(name)) for name in self.names]

    def answer(self, layers, outputs):
        if outputs is not None:
            torch.save(outputs.float(), "outputs.pt")
        document = {"version": version(self._distribution), "layers": layers}
        Path("answer.json").write_text(json.dumps(document))
