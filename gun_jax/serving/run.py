"""Runs the server with the flags of `serve.py`."""

import os
import pathlib
import sys
import time
from collections.abc import Collection

import rich.console

from gun_jax.errors import InputError
from gun_jax.prediction.loading import load_segmenter
from gun_jax.prediction.segmenter import Size
from gun_jax.system import runtime


def run_server(
    workdir: pathlib.Path | None,
    model: str,
    step: int | str | None,
    engine: str,
    size: Size | None,
    host: str,
    port: int,
    names: Collection[str],
    megabytes: float,
    megapixels: float,
) -> None:
    """Serves the web demo until SIGTERM or Ctrl-C, which end the process.

    Args:
      workdir, model, step, engine, size: see `load_segmenter`.
      host, port: address to listen at; port 0 picks a free one.
      names: host names of the server, besides localhost and IP addresses.
      megabytes: largest image file.
      megapixels: largest image.

    Raises:
      InputError: Starlette or uvicorn is not installed, the port is in use, or there is no such network.
    """
    try:
        from gun_jax.serving.application import build_application
        from gun_jax.serving.labelling import Labeller
        from gun_jax.serving.web_server import address, is_for_others, listen, stop_on_signals, web_server
    except ImportError as error:
        raise InputError(
            f"serve.py needs {error.name}, from the `serve` extra: make install EXTRAS=test,export,serve, or "
            "pip install 'gun_jax[serve]'"
        ) from error
    listening = listen(host, port)
    console = rich.console.Console(highlight=False, markup=False, soft_wrap=True)
    segmenter = load_segmenter(workdir, model, step, engine, size, console)
    labeller = Labeller(segmenter, int(megapixels * 1e6))
    height, width = labeller.frame_size
    console.print(f"compiling for {width}x{height} images; the first image of each other size takes longer")
    begin = time.monotonic()
    labeller.label(labeller.example(0))
    runtime.give_back_memory()
    name = workdir.resolve().name if workdir else f"pretrained model {model}"
    server = web_server(build_application(labeller, name, engine, int(megabytes * 1e6), names))
    stop_on_signals(server)  # before the address is printed, so that a signal sent then counts
    console.print(f"ready after {time.monotonic() - begin:.1f} s: open {address(listening)} (Ctrl-C stops the server)")
    if is_for_others(listening):
        console.print("anyone who can reach this machine can use the server")
    server.run([listening])
    console.print("stopped")
    sys.stdout.flush()
    os._exit(0)  # sys.exit would wait for a running compilation
