"""What the Python peers share: the case on disk, and the conversation with the benchmark over standard input and output."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Callable

import numpy as np

DTYPES = {"F32": np.float32, "I64": np.int64, "U8": np.uint8}


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """8 bytes with the length of the header, the header as JSON, the data."""
    file = path.read_bytes()
    start = 8 + int.from_bytes(file[:8], "little")
    header = json.loads(file[8:start])
    header.pop("__metadata__", None)

    def tensor(entry: dict) -> np.ndarray:
        begin, end = (start + offset for offset in entry["data_offsets"])
        return np.frombuffer(file[begin:end], DTYPES[entry["dtype"]]).reshape(entry["shape"]).copy()

    return {name: tensor(entry) for name, entry in header.items()}


class Case:
    """The folder that the benchmark writes: the network, its weights, one batch, and how to train on it."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        settings = json.loads((self.folder / "case.json").read_text())
        self.architecture: dict = settings["architecture"]
        self.recipe: dict = settings["recipe"]
        self.learning_rate: float = settings["learningRate"]
        self.threads: int = settings["threads"]
        batch = read_safetensors(self.folder / "batch.safetensors")
        self.images, self.labels = batch["images"], batch["labels"]

    def weights(self) -> dict[str, np.ndarray]:
        return read_safetensors(self.folder / "weights.safetensors")


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def serve(step: Callable[[], float], **ready: object) -> None:
    """Says that it is ready; then answers each line {"steps": k} by k steps: their times and losses."""
    print(json.dumps({"ready": True, **ready}), flush=True)
    for line in sys.stdin:
        ms, losses = [], []
        for _ in range(json.loads(line)["steps"]):
            started = time.perf_counter()
            losses.append(step())
            ms.append((time.perf_counter() - started) * 1000)
        print(json.dumps({"ms": ms, "loss": losses}), flush=True)
