"""A headless Chromium for tests of pages; and what all pages keep to: they ask nobody else, and log no error.

    with open_browser() as browser, visit(browser, path.as_uri(), width=390, dark=True) as page:
        page.click("button")

`page` is Playwright's. While a browser is open, nothing else in its thread can use asyncio, as Orbax does: read
checkpoints before.
"""

import contextlib
import os
import pathlib
import shutil
import urllib.parse
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@contextlib.contextmanager
def open_browser(*flags: str) -> Iterator[Browser]:
    """The Chromium that is installed, with further flags; without one the test is skipped, and fails in CI."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_executable(playwright), args=[*_FLAGS, *flags])
        try:
            yield browser
        finally:
            browser.close()


def _executable(playwright: Playwright) -> str:
    found = next(filter(None, map(shutil.which, _NAMES)), playwright.chromium.executable_path)
    if not pathlib.Path(found).exists():
        line = "no Chromium: apt-get install chromium, your system's likewise, or python -m playwright install chromium"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(line)
    return found


@contextlib.contextmanager
def visit(
    browser: Browser, url: str, width: int = 1280, height: int = 800, dark: bool = False, expected: str = "", **context
) -> Iterator[Page]:
    """A page in a window of this size, in CSS pixels; at its end it must have asked nobody else, and logged no error.

    `expected`: part of errors that may be logged.
    `context`: what else Playwright's `Browser.new_context` takes, as `has_touch=True` or `permissions=["camera"]`.
    """
    asked: list[str] = []
    errors: list[str] = []
    scheme = "dark" if dark else "light"
    with browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **context) as room:
        room.on("request", lambda request: asked.append(request.url))
        page = room.new_page()
        page.on("websocket", lambda socket: asked.append(socket.url))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        yield page
        assert [url for url in asked if not _is_local(url)] == []
        assert [error for error in errors if not (expected and expected in error)] == []


def _is_local(url: str) -> bool:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme in ("file", "data", "blob", "about") or parts.hostname == "127.0.0.1"


def overflow(page: Page) -> float:
    """By how many pixels a page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
