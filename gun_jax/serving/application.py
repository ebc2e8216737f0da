"""The web application: the page and its API."""

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

MAX_AT_ONCE = 4  # images that arrive, wait or are labelled
_PAGE = pathlib.Path(__file__).parent / "page"
_NO_STORE = {"Cache-Control": "no-store"}

Result = TypeVar("Result")


def build_application(
    labeller: Labeller,
    name: str,
    engine: str,
    max_bytes: int,
    names: Collection[str] = (),
    seconds: float = 60,
) -> ASGIApp:
    """Builds the web application.

    `GET /` returns the page, `GET /api/network` the classes and limits. `POST /api/label` takes the bytes of an image
    file and returns its labels as a PNG file. `POST /api/explain` returns a form of two PNG files, "labels" and
    "offsets", and the header Offsets-Full-Color. Both report the milliseconds of each part in Server-Timing.
    `GET /api/example?number=0` returns a drawn scene as a PNG file. Errors are `{"error": "one line"}`.

    Args:
      labeller: labels one image at a time.
      name, engine: name and engine of the network, shown on the page.
      max_bytes: largest image file.
      names: see `HostCheck`.
      seconds: time limit for an image file to arrive.
    """
    facts = labeller.facts() | {"name": name, "engine": engine, "most_bytes": max_bytes}
    places = asyncio.Semaphore(MAX_AT_ONCE)
    worker, turn = ThreadPoolExecutor(1), asyncio.Lock()

    async def receive_body(request: Request) -> bytes:
        announced = request.headers.get("content-length", "")
        content = bytearray()
        try:
            async with asyncio.timeout(seconds):
                _check_length(int(announced) if announced.isdecimal() else 0, max_bytes)
                async for chunk in request.stream():
                    content += chunk
                    _check_length(len(content), max_bytes)
        except TimeoutError as error:
            raise HTTPException(408, f"the image did not arrive within {seconds:g} seconds") from error
        return bytes(content)

    async def process(request: Request, work: Callable[..., Result], *arguments: Any) -> Result:
        """Calls `work` with the arguments, by default the body of the request; one call at a time."""
        if places.locked():
            raise HTTPException(503, "too many images at once; try again", {"Retry-After": "1"})
        async with places:
            arguments = arguments or (await receive_body(request),)
            async with turn:
                if await request.is_disconnected():  # e.g. the user has opened another image
                    raise ClientDisconnect
                return await asyncio.get_running_loop().run_in_executor(worker, work, *arguments)

    async def network(request: Request) -> Response:
        return JSONResponse(facts, headers=_NO_STORE)

    async def label(request: Request) -> Response:
        answer = await process(request, labeller.label)
        return Response(answer.labels, headers=_NO_STORE | _timing(answer), media_type="image/png")

    async def predict_with_offsets(request: Request) -> Response:
        answer = await process(request, labeller.predict_with_offsets)
        assert answer.offsets is not None
        headers = _NO_STORE | _timing(answer) | {"Offsets-Full-Color": f"{answer.full_color:.6g}"}
        content, kind = _form({"labels": answer.labels, "offsets": answer.offsets})
        return Response(content, headers=headers, media_type=kind)

    async def example(request: Request) -> Response:
        number = request.query_params.get("number", "0")
        if not (number.isascii() and number.isdecimal() and len(number) < 10):
            raise HTTPException(400, f"number is {number[:20]!r}; expected a whole number, 0 or more")
        scene = await process(request, labeller.example, int(number))
        return Response(scene, headers=_NO_STORE, media_type="image/png")

    routes = [
        Route("/api/network", network),
        Route("/api/label", label, methods=["POST"]),
        Route("/api/explain", predict_with_offsets, methods=["POST"]),
        Route("/api/example", example),
        Mount("/", StaticFiles(directory=_PAGE, html=True)),
    ]
    errors = {InputError: _bad_request, HTTPException: _refused, ClientDisconnect: _gone, Exception: _defect}
    return HostCheck(Starlette(routes=routes, exception_handlers=errors), names)


def _check_length(length: int, max_bytes: int) -> None:
    if length > max_bytes:
        raise HTTPException(413, f"the file is larger than {max_bytes / 1e6:g} MB")


def _timing(answer: Answer) -> dict[str, str]:
    return {"Server-Timing": ", ".join(f"{part};dur={time:.2f}" for part, time in answer.milliseconds.items())}


def _form(files: dict[str, bytes]) -> tuple[bytes, str]:
    """PNG files by name as the body of a form, and its content type."""
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}.png"\r\n'
        "Content-Type: image/png\r\n\r\n".encode() + content + b"\r\n"
        for name, content in files.items()
    ]  # fmt: skip
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


async def _bad_request(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": " ".join(str(error).split())}, 400)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it


async def _defect(request: Request, error: Exception) -> Response:
    traceback.print_exception(error)
    return JSONResponse({"error": "internal error; see the console of the server"}, 500)
