"""What keeps other sites that a browser visits away from the server, and the page to itself."""

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
    """Goes around an application.

    Refuses requests to a host that is neither localhost, an address in numbers, nor one of `names`: another site can
    let its name stand for this machine (DNS rebinding). Refuses what is sent from the page of another site. All answers
    tell browsers to load nothing from elsewhere.

    Args:
      application: what answers.
      names: of hosts as which the server may be called.
    """

    def __init__(self, application: ASGIApp, names: Collection[str] = ()):
        self._application = application
        self._names = {"localhost", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        if refusal:
            await JSONResponse({"error": refusal}, 403)(scope, receive, send_guarded)
        else:
            await self._application(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Headers) -> str | None:
        host = headers.get("host", "")
        name = _name(host)
        if name not in self._names and not _is_address(name):
            return f"the server is not called {name!r}; open it as localhost, or start it with --names={name}"
        origin = headers.get("origin")  # which browsers tell with all that is sent; other programs need not
        if method not in ("GET", "HEAD") and origin and origin.partition("://")[2].lower() != host.lower():
            return f"only the server's own page may ask this, not {origin}"
        return None


def _name(host: str) -> str:
    """The name or address in a Host header, without the port; "" if it is none."""
    try:
        return urllib.parse.urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
