"""The web server: its socket, and how it runs and stops."""

import ipaddress
import os
import signal
import socket

import uvicorn
from starlette.types import ASGIApp

from gun_jax.errors import InputError

_PATIENCE = 2  # seconds for running requests to finish when the server stops


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 picks a free port.

    Raises:
      InputError: the host is not an address of this machine, or the port is in use.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise InputError(f"--host is {host!r}, not an address of this machine; expected e.g. 127.0.0.1") from error
    family, kind, protocol, _, socket_address = found[0]
    listening = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # on Windows it would allow two programs at one port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(socket_address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise InputError(f"cannot listen at {host}, port {port}: {error.strerror}; choose another --port") from error
    return listening


def address(listening: socket.socket) -> str:
    """The URL of the page on this machine."""
    host, port = listening.getsockname()[:2]
    if _ip_address(listening).is_unspecified:
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_for_others(listening: socket.socket) -> bool:
    """Whether other machines can reach the socket."""
    return not _ip_address(listening).is_loopback


def web_server(application: ASGIApp) -> uvicorn.Server:
    """A uvicorn server with all optional features off; start it with `run([socket])`."""
    return uvicorn.Server(
        uvicorn.Config(
            application,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_level="critical",  # else it logs each request that is cancelled when the server stops
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_PATIENCE,
        )
    )


def stop_on_signals(server: uvicorn.Server) -> None:
    """Stops the server on SIGTERM and Ctrl-C, also before it runs."""

    def stop(*_: object) -> None:
        server.should_exit = True

    # uvicorn installs its own handlers while it runs, and raises the signal again when it stops: ours then ignores it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def _ip_address(listening: socket.socket) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(listening.getsockname()[0].partition("%")[0])
