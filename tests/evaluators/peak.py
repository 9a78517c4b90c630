"""``python -m tests.evaluators.peak FILE BATCH``: bytes that calls of an artifact add to a fresh process at most.

Resident memory's high-water mark is set back after the session is made; freed memory goes back to the system
(no arena of the runtime's), so that what is reached is what was alive at once.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime


def status(field):
    text = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith(field))) * 1024


def main(path, batch):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {item.name: np.ones((batch, *item.shape[1:]), dtype=np.float32) for item in session.get_inputs()}
    session.run(None, {name: array[:1] for name, array in feed.items()})
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    session.run(None, feed)
    print(status("VmHWM") - before + sum(array.nbytes for array in feed.values()))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
