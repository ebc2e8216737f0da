"""Refuses requests that other sites make through a browser on this machine."""

import ipaddress
import urllib.parse
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class HostCheck:
    """Middleware that checks the headers Host and Origin, and adds security headers to every response.

    Another site can let its name resolve to this machine (DNS rebinding), so the host must be localhost, an IP address
    or one of `names`. Starlette's TrustedHostMiddleware compares names only: it cannot allow every IP address.

    Args:
      application: answers the requests that pass.
      names: host names of the server, besides localhost.
    """

    def __init__(self, application: ASGIApp, names: Collection[str] = ()):
        self._application = application
        self._names = {"localhost", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        answer = JSONResponse({"error": refusal}, 403) if refusal else self._application
        await answer(scope, receive, send_with_headers)

    def _refusal(self, method: str, headers: Headers) -> str | None:
        host = headers.get("host", "")
        try:
            name = urllib.parse.urlsplit(f"//{host}").hostname or ""  # without the port
        except ValueError:
            name = ""
        if name not in self._names and not _is_ip_address(name):
            return f"unknown host {name!r}; open the page as localhost, or start serve.py with --names={name}"
        origin = headers.get("origin")  # browsers send it with every POST; other programs need not
        if method not in ("GET", "HEAD") and origin and origin.partition("://")[2].lower() != host.lower():
            return f"only the server's own page may send this, not {origin}"
        return None


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
