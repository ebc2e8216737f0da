#!/usr/bin/env python3
"""Times predict.py on a video: the pretrained models and the paper's full network, by both engines.

    python benchmarks/prediction.py [--frames=60] [--rounds=5] [--data_dir=CAMVID]

The video has 480x360 pixels: images of CamVid's validation split, or drawn scenes. The full network is untrained, which
does not change its speed. In every round each case runs twice, each time in a process of its own: predict.py from start
to end, and then the labels alone, of the same frames in memory, by a process that has labelled one before.
"""

import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from gun_jax import configuration
from gun_jax.data.classes import CAMVID
from gun_jax.data.folders import FolderSource
from gun_jax.data.sources import Source
from gun_jax.data.synthetic import SyntheticScenes
from gun_jax.prediction.segmenter import Segmenter
from gun_jax.programs import command_line
from gun_jax.runs.loading import load_checkpoint
from gun_jax.runs.workdir import save_config
from gun_jax.weights import pretrained
from gun_jax.weights.npz import NAME, write_weights

SIZE = (360, 480)
PREDICT = pathlib.Path(__file__).parents[1] / "predict.py"

_FRAMES = flags.DEFINE_integer("frames", 60, "Number of frames of the video.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Number of runs of each case.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of CamVid; by default scenes are drawn.")
_ALONE = flags.DEFINE_string("alone", None, "Case for a process of this program to time, as JSON (internal).")


def full_network(folder: pathlib.Path) -> pathlib.Path:
    """A workdir of the paper's final network for CamVid, untrained."""
    config = configuration.default_config()
    config.model.input_subsampling = 2
    model = configuration.build_model(config.model, len(CAMVID))
    variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
    write_weights(folder / NAME, variables, configuration.describe_network(config.model, len(CAMVID)), 0)
    save_config(folder, config, CAMVID, image_size=SIZE)
    return folder


def write_video(path: pathlib.Path, count: int) -> None:
    """Writes the video, 25 frames per second."""
    source: Source = SyntheticScenes(count, SIZE, 0)
    if _DATA_DIR.value:
        source = FolderSource(pathlib.Path(_DATA_DIR.value, "val"), None, CAMVID)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, SIZE[::-1])
    for index in range(count):
        writer.write(cv2.cvtColor(source[index % len(source)]["image"], cv2.COLOR_RGB2BGR))
    writer.release()


def label_alone(workdir: str, engine: str, video: str) -> float:
    """Seconds for the labels of all frames but the first, one by one."""
    reader, frames = cv2.VideoCapture(video), []
    while (read := reader.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
    segmenter = Segmenter(load_checkpoint(pathlib.Path(workdir)), engine)
    segmenter.label(frames[0][None], SIZE)
    begin = time.perf_counter()
    for frame in frames[1:]:
        segmenter.label(frame[None], SIZE)
    return time.perf_counter() - begin


def measure(workdir: pathlib.Path, engine: str, video: pathlib.Path) -> tuple[float, float, float]:
    """Frames per second of the whole process, of the process after its first frame, and of the labels alone."""
    count = _FRAMES.value
    line = [f"{PREDICT}", f"--workdir={workdir}", f"--engine={engine}", f"{video}", f"--output={video.parent}/out"]
    begin = time.perf_counter()
    shown = subprocess.run([sys.executable, *line], capture_output=True, text=True, check=True).stdout
    whole = count / (time.perf_counter() - begin)
    rate = re.search(r"([\d.]+) images/s after the first batch", shown)
    assert rate
    case = json.dumps([str(workdir), engine, str(video)])
    told = subprocess.run([sys.executable, __file__, f"--alone={case}"], capture_output=True, text=True, check=True)
    return whole, float(rate[1]), (count - 1) / float(told.stdout)


def main() -> None:
    if _ALONE.value:
        print(label_alone(*json.loads(_ALONE.value)))
        return
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        write_video(folder / "video.mp4", _FRAMES.value)
        networks = {name: pretrained.folder_of(name) for name in pretrained.MODELS}
        networks["full"] = full_network(folder / "full")
        cases = [(name, engine) for name in networks for engine in ("jax", "openvino")]
        found: dict[tuple[str, str], list[tuple[float, float, float]]] = {case: [] for case in cases}
        for warm_up in [True] + [False] * _ROUNDS.value:  # the warm-up fills the compilation cache
            for name, engine in cases:
                figures = measure(networks[name], engine, folder / "video.mp4")
                if not warm_up:
                    found[name, engine].append(figures)
    print("| network | engine | whole process, frames/s | after the first frame | labels alone | ratio of these two |")
    print("|---|---|---:|---:|---:|---:|")
    for (name, engine), rounds in found.items():
        columns = [*np.transpose(rounds), [round_[1] / round_[2] for round_ in rounds]]
        shown = [f"{statistics.median(column):.3g} ({min(column):.3g} to {max(column):.3g})" for column in columns]
        print(f"| {name} | {engine} | {' | '.join(shown)} |")


if __name__ == "__main__":
    command_line.run(main)
