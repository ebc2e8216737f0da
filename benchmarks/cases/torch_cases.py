"""The final network in PyTorch: labels, in eager mode or compiled, and a training step."""

import functools
from collections.abc import Callable

import torch
from torch_network import TorchGUN


def labels(size: tuple[int, int], batch: int, compiled: bool) -> Callable[[], object]:
    network = TorchGUN(labels=True).eval().to(memory_format=torch.channels_last)
    images = torch.randn(batch, 3, *size).to(memory_format=torch.channels_last)
    call = torch.compile(network) if compiled else network

    def run():
        with torch.no_grad():
            return call(images)

    return run


def training(size: tuple[int, int], batch: int) -> Callable[[], object]:
    network = TorchGUN().train().to(memory_format=torch.channels_last)
    images = torch.randn(batch, 3, *size).to(memory_format=torch.channels_last)
    labels = torch.randint(19, (batch, *size))
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)

    def run():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()

    return run


CASES = {
    "torch": functools.partial(labels, compiled=False),
    "torch.compile": functools.partial(labels, compiled=True),
    "torch training": training,
}
