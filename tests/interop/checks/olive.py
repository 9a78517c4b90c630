"""Runs an Olive configuration on float.onnx; who called reads the file that it leaves."""

import json
import shutil
import sys
from pathlib import Path

from olive.workflows import run

from tests.interop.checks.given import Given

CALIBRATION = """
import torch
from olive.data.registry import Registry


class Examples(torch.utils.data.Dataset):
    def __init__(self):
        self.items = [item for batch in torch.load("calibration.pt") for item in batch]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return {"input": self.items[index]}, 0


@Registry.register_dataset()
def calibration_data(**kwargs):
    return Examples()
"""

given = Given(sys.argv[1])
Path("calibration.py").write_text(CALIBRATION)
run(json.loads(given.file.read_text()))
(made,) = Path("olive-output").rglob("*.onnx")
shutil.copyfile(made, "made.onnx")
given.answer(None, None)
