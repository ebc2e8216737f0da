"""The web server: where it listens, and how it runs and ends."""

import ipaddress
import os
import signal
import socket

import uvicorn
from starlette.types import ASGIApp

from gun_jax.errors import InputError

_PATIENCE = 2  # seconds that requests have to end, when the server does


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is any that is free.

    Raises:
      InputError: there is no such host here, or the port is taken.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise InputError(f"--host is {host!r}, which is no address of this machine; expected 127.0.0.1") from error
    family, kind, protocol, _, place = found[0]
    listening = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it would share the port of another program
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise InputError(f"cannot listen at {host}, port {port}: {error.strerror}; choose another --port") from error
    return listening


def address(listening: socket.socket) -> str:
    """The address of the page, for a browser on this machine."""
    host, port = listening.getsockname()[:2]
    if _number(listening).is_unspecified:
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_for_others(listening: socket.socket) -> bool:
    """Whether other machines can reach it."""
    return not _number(listening).is_loopback


def web_server(application: ASGIApp) -> uvicorn.Server:
    """The server of an application, without what this one needs not; `run([socket])` runs it."""
    return uvicorn.Server(
        uvicorn.Config(
            application,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_level="critical",  # it would tell of each request that its end cuts off
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_PATIENCE,
        )
    )


def end_by_signals(server: uvicorn.Server) -> None:
    """Lets SIGTERM and Ctrl-C end a server, from now on, whether it runs already or not."""

    def end(*_: object) -> None:
        server.should_exit = True

    # uvicorn has its own handlers while it runs, and raises the signal once more at its end: it should do no more then.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def _number(listening: socket.socket) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(listening.getsockname()[0].partition("%")[0])
