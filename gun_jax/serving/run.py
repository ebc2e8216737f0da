"""What `serve.py` does with its flags."""

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
    step: int | None,
    engine: str,
    size: Size | None,
    host: str,
    port: int,
    names: Collection[str],
    megabytes: float,
    megapixels: float,
) -> None:
    """Serves the live page until SIGTERM or Ctrl-C, which end the process.

    Args:
      workdir, step, engine, size: see `load_segmenter`.
      host, port: where to listen; port 0 is any that is free.
      names: of hosts as which the server may be called, besides localhost and addresses in numbers.
      megabytes: of an image file, at most.
      megapixels: of an image, at most.

    Raises:
      InputError: Starlette or uvicorn is not installed, the place is taken, or there is no such network.
    """
    try:
        from gun_jax.serving.application import build_application
        from gun_jax.serving.labelling import Labeller
        from gun_jax.serving.web_server import address, end_by_signals, is_for_others, listen, web_server
    except ImportError as error:
        raise InputError(
            f"the page needs {error.name}, of the `serve` extra: make install EXTRAS=test,export,serve, or "
            "pip install 'gun_jax[serve]'"
        ) from error
    listening = listen(host, port)
    console = rich.console.Console(highlight=False, markup=False, soft_wrap=True)
    segmenter = load_segmenter(workdir, step, engine, size, console)
    labeller = Labeller(segmenter, int(megapixels * 1e6))
    height, width = labeller.frame_size
    console.print(f"compiling for images of {width}x{height}; those of other sizes are waited for when they come")
    begin = time.monotonic()
    labeller.label(labeller.example(0))
    runtime.give_back_memory()
    name = workdir.resolve().name if workdir else "the network that comes with gun_jax"
    server = web_server(build_application(labeller, name, engine, int(megabytes * 1e6), names))
    end_by_signals(server)  # before anybody is told that it is there
    console.print(f"ready after {time.monotonic() - begin:.1f} s: {address(listening)} (Ctrl-C ends it)")
    if is_for_others(listening):
        console.print("everybody who reaches this machine can use it")
    server.run([listening])
    console.print("ended")
    sys.stdout.flush()
    os._exit(0)  # the usual way waits for what is compiled just now
