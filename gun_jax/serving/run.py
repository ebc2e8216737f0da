"""What `serve.py` does with its flags."""

import ipaddress
import os
import pathlib
import signal
import socket
import sys
import time
from collections.abc import Collection

import rich.console

from gun_jax import runtime
from gun_jax.errors import InputError
from gun_jax.prediction.loading import load_segmenter
from gun_jax.prediction.segmenter import Size

_PATIENCE = 2  # seconds that requests have to end, when the server does


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
      megabytes: of a picture file, at most.
      megapixels: of a picture, at most.

    Raises:
      InputError: Starlette or uvicorn is not installed, the place is taken, or there is no such network.
    """
    try:
        import uvicorn

        from gun_jax.serving.application import build_application
        from gun_jax.serving.labelling import Labeller
    except ImportError as error:
        raise InputError(
            f"the page needs {error.name}, of the `serve` extra: make install EXTRAS=test,export,serve"
        ) from error
    listening = listen(host, port)
    console = rich.console.Console(highlight=False, markup=False, soft_wrap=True)
    segmenter = load_segmenter(workdir, step, engine, size, console)
    labeller = Labeller(segmenter, int(megapixels * 1e6))
    console.print(
        "compiling for pictures of {1}x{0}; each other size is compiled when it comes".format(*labeller.frame_size)
    )
    begin = time.monotonic()
    labeller.label(labeller.example(0))
    runtime.give_back_memory()
    console.print(f"ready after {time.monotonic() - begin:.1f} s: {address(listening)} (Ctrl-C ends it)")
    if not ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback:
        console.print("everybody who reaches this machine can use it")
    network = {
        "name": workdir.resolve().name if workdir else "the network that comes with gun_jax",
        "classes": [
            {"name": name, "color": color}
            for name, color in zip(segmenter.classes.names, segmenter.classes.colors, strict=True)
        ],
        "engine": engine,
        "frame_pixels": segmenter.most_pixels,
        "most_bytes": int(megabytes * 1e6),
        "most_pixels": int(megapixels * 1e6),
    }
    application = build_application(labeller, network, int(megabytes * 1e6), names)
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_PATIENCE,
        )
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # uvicorn ends at them, and then raises them once more
    server.run([listening])
    console.print("ended")
    sys.stdout.flush()
    os._exit(0)  # the usual way waits for what is compiled just now


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
      InputError: there is no such host here, or the port is taken.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise InputError(f"--host is {host!r}, which is no address of this machine; expected 127.0.0.1") from error
    listening = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise InputError(
            f"cannot listen at {host}, port {port}: {error.strerror}; choose another, as --port={port + 1}"
        ) from error
    return listening


def address(listening: socket.socket) -> str:
    """The address of the page, for a browser on this machine."""
    host, port = listening.getsockname()[:2]
    if ipaddress.ip_address(host.partition("%")[0]).is_unspecified:
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
