"""One case of a comparison in a process of its own: each library has its threads and its memory to itself.

`python -m gun_jax.benchmark.worker CASE HEIGHT WIDTH BATCH` prepares the case and runs it once. Then it answers every
line on its standard input by a line of JSON: {"seconds": time of a run}, or, when the input ends, {"peak": bytes}.
"""

import functools
import json
import resource
import sys
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gun_jax import runtime
from gun_jax.benchmark.tables import random_variables
from gun_jax.data.pictures import normalise
from gun_jax.models import GUN
from gun_jax.models.folding import fold_batch_norm
from gun_jax.training.state import create_state
from gun_jax.training.step import data_mesh, make_train_step

CLASSES = 19
_RUNS = 3  # of which the fastest counts, after one that does not
_MOMENTUM, _RATE = 0.9, 1e-3

Size = tuple[int, int]
Run = Callable[[], object]


def _images(size: Size, batch: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (batch, *size, 3), np.uint8)


def _labels(size: Size, batch: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, CLASSES, (batch, *size), np.uint8)


def jax_labels(size: Size, batch: int, **network) -> Run:
    """`predict` of the final network, batch norm folded, as a pipeline would compile it."""
    model = GUN(CLASSES, input_subsampling=2, **network)
    variables = jax.device_put(fold_batch_norm(random_variables(model)))
    images = normalise(jnp.asarray(_images(size, batch)))
    predict = jax.jit(lambda variables, images: model.apply(variables, images, method="predict"))
    return lambda: predict(variables, images).block_until_ready()


def jax_training(size: Size, batch: int) -> Run:
    """Forward, backward and SGD with momentum, as `train.py` compiles a step."""
    model, optimizer, mesh = GUN(CLASSES, input_subsampling=2), optax.sgd(_RATE, _MOMENTUM), data_mesh()
    state = create_state(model, optimizer, seed=0)
    step = make_train_step(model, optimizer, mesh)
    data = jax.device_put({"image": _images(size, batch), "label": _labels(size, batch)})

    def run():
        nonlocal state
        state, loss = step(state, data)
        jax.block_until_ready((state, loss))

    return run


def torch_labels(size: Size, batch: int, compiled: bool = True) -> Run:
    import torch

    from gun_jax.benchmark.torch_network import TorchGUN

    network = TorchGUN(CLASSES, labels=True).eval().to(memory_format=torch.channels_last)
    images = torch.randn(batch, 3, *size).to(memory_format=torch.channels_last)
    call = torch.compile(network) if compiled else network

    def run():
        with torch.no_grad():
            return call(images)

    return run


def torch_training(size: Size, batch: int) -> Run:
    import torch

    from gun_jax.benchmark.torch_network import TorchGUN

    network = TorchGUN(CLASSES).train().to(memory_format=torch.channels_last)
    images = torch.randn(batch, 3, *size).to(memory_format=torch.channels_last)
    labels = torch.from_numpy(_labels(size, batch).astype(np.int64))
    optimizer = torch.optim.SGD(network.parameters(), lr=_RATE, momentum=_MOMENTUM)

    def run():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()

    return run


def openvino_of_torch(size: Size, batch: int, int8: bool = False) -> Run:
    """The network in PyTorch, converted by OpenVINO's own front end."""
    import torch

    from gun_jax.benchmark.torch_network import TorchGUN
    from gun_jax.export.quiet_openvino import openvino

    images = torch.randn(batch, 3, *size)
    model = openvino.convert_model(TorchGUN(CLASSES, labels=True).eval(), example_input=images)
    model.reshape([batch, 3, *size])
    return _openvino(model, images.numpy(), int8)


def openvino_of_ours(size: Size, batch: int, int8: bool = False) -> Run:
    """What `export.py` writes for OpenVINO."""
    from gun_jax.export.onnx_network import onnx_network
    from gun_jax.export.openvino_network import openvino_network

    network = GUN(CLASSES, input_subsampling=2)
    model = openvino_network(onnx_network(network, random_variables(network), size, size))
    model.reshape([batch, *size, 3])
    return _openvino(model, _images(size, batch), int8)


def _openvino(model, images: np.ndarray, int8: bool) -> Run:
    from gun_jax.export.exported import OPENVINO_OPTIONS
    from gun_jax.export.openvino_network import quantise
    from gun_jax.export.quiet_openvino import openvino

    if int8:
        model = quantise(model, [0, 1], lambda _: images)
    request = openvino.Core().compile_model(model, "CPU", OPENVINO_OPTIONS).create_infer_request()
    return lambda: request.infer([images])


CASES: dict[str, Callable[[Size, int], Run]] = {
    "jax": jax_labels,
    "jax nearest": functools.partial(jax_labels, method="nearest"),
    "jax baseline": functools.partial(jax_labels, guidance=None),
    "jax training": jax_training,
    "torch": functools.partial(torch_labels, compiled=False),
    "torch.compile": torch_labels,
    "torch training": torch_training,
    "openvino": openvino_of_torch,
    "openvino int8": functools.partial(openvino_of_torch, int8=True),
    "export": openvino_of_ours,
    "export int8": functools.partial(openvino_of_ours, int8=True),
}


def main(case: str, *numbers: str) -> None:
    runtime.keep_memory()
    runtime.keep_compilations()
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries talk on standard output
    height, width, batch = map(int, numbers)
    run = CASES[case]((height, width), batch)
    run()
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for _ in sys.stdin:
        times = []
        for _ in range(_RUNS + 1):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        print(json.dumps({"seconds": min(times[1:])}), file=answers, flush=True)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    print(json.dumps({"peak": peak}), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
