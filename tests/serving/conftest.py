"""A browser with a fake webcam, and the web demo's page in it."""

import pytest
from reference_browser import open_browser, visit
from reference_serving import serving

FAKE_WEBCAM = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


@pytest.fixture(scope="module")
def url():
    with serving() as url:
        yield url


@pytest.fixture(scope="module")
def browser():
    with open_browser(*FAKE_WEBCAM) as browser:
        yield browser


@pytest.fixture(scope="module")
def window(browser, url):
    """One window for all tests: opening one takes longer than most of them. At its end it reports any logged error."""
    with visit(browser, url) as page:
        yield page


@pytest.fixture
def page(window, url):
    window.goto(url)
    window.wait_for_selector("#classes li")
    return window
