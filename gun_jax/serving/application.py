"""The web application: the page, and what it asks for."""

import asyncio
import pathlib
import secrets
import traceback
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from gun_jax.errors import InputError
from gun_jax.serving.host_check import HostCheck
from gun_jax.serving.labelling import Answer, Labeller

MAX_AT_ONCE = 4  # requests that are received, wait, or are worked at
_PAGE = pathlib.Path(__file__).parent / "page"
_NOT_KEPT = {"Cache-Control": "no-store"}

Result = TypeVar("Result")


def build_application(
    labeller: Labeller,
    name: str,
    engine: str,
    most_bytes: int,
    names: Collection[str] = (),
    seconds: float = 60,
) -> ASGIApp:
    """The application.

    `GET /` is the page, `GET /api/network` tells classes and limits. `POST /api/label` takes an image file as it is
    and gives its labels as a PNG file; `POST /api/explain` gives "labels" and "offsets", PNG files, as a form, and the
    header Offsets-Full-Color; both tell the milliseconds of their parts in Server-Timing. `GET /api/example?number=0`
    is a drawn scene, a PNG file. What cannot be answered is told as `{"error": a line}`.

    Args:
      labeller: does the work, one request at a time.
      name, engine: of the network, as the page shows them.
      most_bytes: of an image file.
      names: see `HostCheck`.
      seconds: for an image file to arrive.
    """
    facts = labeller.facts() | {"name": name, "engine": engine, "most_bytes": most_bytes}
    places = asyncio.Semaphore(MAX_AT_ONCE)
    worker, turn = ThreadPoolExecutor(1), asyncio.Lock()

    async def received(request: Request) -> bytes:
        promised = request.headers.get("content-length", "")
        content = bytearray()
        try:
            async with asyncio.timeout(seconds):
                _check_length(int(promised) if promised.isdecimal() else 0, most_bytes)
                async for chunk in request.stream():
                    content += chunk
                    _check_length(len(content), most_bytes)
        except TimeoutError as error:
            raise HTTPException(408, f"the image was not there after {seconds:g} seconds") from error
        return bytes(content)

    async def worked(request: Request, work: Callable[..., Result], *arguments: Any) -> Result:
        """What `work` makes of the body of a request, or of arguments."""
        if places.locked():
            raise HTTPException(503, "too many images at once; try it again", {"Retry-After": "1"})
        async with places:
            arguments = arguments or (await received(request),)
            async with turn:
                if await request.is_disconnected():  # as a browser does that has the next image already
                    raise ClientDisconnect
                return await asyncio.get_running_loop().run_in_executor(worker, work, *arguments)

    async def tell_network(request: Request) -> Response:
        return JSONResponse(facts, headers=_NOT_KEPT)

    async def label(request: Request) -> Response:
        answer = await worked(request, labeller.label)
        return Response(answer.labels, headers=_NOT_KEPT | _timing(answer), media_type="image/png")

    async def predict_with_offsets(request: Request) -> Response:
        answer = await worked(request, labeller.predict_with_offsets)
        assert answer.offsets is not None
        headers = _NOT_KEPT | _timing(answer) | {"Offsets-Full-Color": f"{answer.full_color:.6g}"}
        content, kind = _form({"labels": answer.labels, "offsets": answer.offsets})
        return Response(content, headers=headers, media_type=kind)

    async def example(request: Request) -> Response:
        number = request.query_params.get("number", "0")
        if not (number.isascii() and number.isdecimal() and len(number) < 10):
            raise HTTPException(400, f"number is {number[:20]!r}; expected a whole number, 0 or more")
        return Response(await worked(request, labeller.example, int(number)), headers=_NOT_KEPT, media_type="image/png")

    routes = [
        Route("/api/network", tell_network),
        Route("/api/label", label, methods=["POST"]),
        Route("/api/explain", predict_with_offsets, methods=["POST"]),
        Route("/api/example", example),
        Mount("/", StaticFiles(directory=_PAGE, html=True)),
    ]
    errors = {InputError: _bad_input, HTTPException: _refused, ClientDisconnect: _gone, Exception: _defect}
    return HostCheck(Starlette(routes=routes, exception_handlers=errors), names)


def _check_length(length: int, most: int) -> None:
    if length > most:
        raise HTTPException(413, f"the file is larger than {most / 1e6:g} MB")


def _timing(answer: Answer) -> dict[str, str]:
    return {"Server-Timing": ", ".join(f"{part};dur={time:.2f}" for part, time in answer.milliseconds.items())}


def _form(files: dict[str, bytes]) -> tuple[bytes, str]:
    """PNG files as a form, as browsers read it at once, and its content type."""
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}.png"\r\n'
        "Content-Type: image/png\r\n\r\n".encode() + content + b"\r\n"
        for name, content in files.items()
    ]  # fmt: skip
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


async def _bad_input(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": " ".join(str(error).split())}, 400)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # which nobody reads


async def _defect(request: Request, error: Exception) -> Response:
    traceback.print_exception(error)
    return JSONResponse({"error": "the server made a mistake; its console says which"}, 500)
