#!/usr/bin/env python3
"""Estimates the time for communication in a training step of several devices, for docs/clusters.md.

    python benchmarks/communication.py --step_ms=2882

Counts the all-reduces of the compiled step and their bytes; their time on a connection is a formula.
"""

import math
import re

import jax
import jax.numpy as jnp
from absl import flags

from gun_jax import configuration
from gun_jax.programs import command_line
from gun_jax.training.optimizer import learning_rate, make_optimizer
from gun_jax.training.state import create_state
from gun_jax.training.step import batch_sharding, data_mesh, replicated, train_step

STEP = flags.DEFINE_float("step_ms", 2882, "Measured step of one device, ms (docs/peers.md: 8x360x480, 2 cores).")
FASTER = flags.DEFINE_float(
    "faster", 100, "Speed of the devices of the last column, relative to that device (assumed)."
)
# Bytes per second that a device sends, and the least seconds of a message.
CONNECTIONS = {"10 Gbit/s Ethernet": (1.25e9, 50e-6), "100 Gbit/s Ethernet": (12.5e9, 10e-6), "NVLink": (450e9, 3e-6)}
DEVICES = (2, 8, 32, 128, 256)
BYTES = {"f32": 4, "bf16": 2, "s32": 4, "u32": 4, "pred": 1}


def all_reduces() -> tuple[list[int], int]:
    """Bytes of each all-reduce in a step of the final network, compiled for two devices; bytes of its parameters."""
    jax.config.update("jax_num_cpu_devices", 2)
    config = configuration.default_config()
    model = configuration.build_model(config.model, 19)
    optimizer = make_optimizer(config.optimizer, learning_rate(config.optimizer, 100, 1000))
    mesh = data_mesh()
    state = jax.eval_shape(lambda: create_state(model, optimizer, 0))
    batch = {
        "image": jax.ShapeDtypeStruct((2, 64, 128, 3), jnp.uint8),
        "label": jax.ShapeDtypeStruct((2, 64, 128), jnp.uint8),
    }
    step = jax.jit(
        train_step(model, optimizer),
        in_shardings=(replicated(mesh), batch_sharding(mesh)),
        out_shardings=replicated(mesh),
    )
    text = step.lower(state, batch).compile().as_text()
    found = re.findall(r"= (.+?) all-reduce(?:-start)?\(", text)
    sizes = [
        sum(BYTES[dtype] * _count(shape) for dtype, shape in re.findall(r"(\w+)\[([\d,]*)\]", one)) for one in found
    ]
    return sizes, sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state.params))


def _count(shape: str) -> int:
    """The number of elements in an array of an HLO shape."""
    return math.prod(int(side) for side in shape.split(",") if side)


def seconds(sizes: list[int], devices: int, connection: str) -> float:
    """Rings for the bytes, 2 (n - 1) / n of them; trees for the messages, 2 log2 n for each all-reduce."""
    speed, latency = CONNECTIONS[connection]
    return 2 * (devices - 1) / devices * sum(sizes) / speed + len(sizes) * 2 * math.log2(devices) * latency


def main() -> None:
    sizes, parameters = all_reduces()
    print(f"{len(sizes)} all-reduces of {sum(sizes) / 1e6:.1f} MB together; parameters of {parameters / 1e6:.1f} MB\n")
    own, fast = STEP.value, STEP.value / FASTER.value
    shares = f"share of a step that computes for {own:.0f} ms | share of one that computes for {fast:.0f} ms"
    print(f"| devices | connection | all-reduces, ms | {shares} |")
    print("|---:|---|---:|---:|---:|")
    for devices in DEVICES:
        for connection in CONNECTIONS:
            ms = 1e3 * seconds(sizes, devices, connection)
            print(f"| {devices} | {connection} | {ms:.1f} | {ms / (ms + own):.1%} | {ms / (ms + fast):.1%} |")


if __name__ == "__main__":
    command_line.run(main)
