"""Actions on the web demo's page, and the colours it shows."""

import time

import numpy as np
from reference_serving import CLASSES, as_file, quarters

QUARTERS = {0: (10, 10), 1: (100, 10), 2: (10, 80), 3: (100, 80)}  # (x, y) in each of them, by class
ANSWERED = "document.querySelectorAll('#parts div').length > 0"


def wait_for(page, condition):
    """Waits until an expression holds. Playwright's own wait evaluates strings, which the page's policy forbids."""
    end = time.monotonic() + 30
    while not page.evaluate(condition):
        assert time.monotonic() < end, (condition, message(page))
        page.wait_for_timeout(10)


def open_file(page, name, kind, content):
    page.set_input_files("#file", {"name": name, "mimeType": kind, "buffer": content})


def open_quarters(page):
    open_file(page, "quarters.png", "image/png", as_file(quarters()))
    wait_for(page, ANSWERED)


def pixel(page, x, y):
    """Red, green, blue, alpha of the canvas."""
    script = "([x, y]) => [...document.getElementById('canvas').getContext('2d').getImageData(x, y, 1, 1).data]"
    return np.array(page.evaluate(script, [x, y]), float)


def colors_shown(page):
    return {id: pixel(page, *place)[:3] for id, place in QUARTERS.items()}


def blend(id, opacity):
    """The expected colour of a quarter under the colour of its class."""
    x, y = QUARTERS[id]
    return (1 - opacity) * quarters()[y, x] + opacity * np.array(CLASSES.colors[id])


def drag(page, selector, value):
    page.eval_on_selector(selector, "(e, value) => { e.value = value; e.dispatchEvent(new Event('input')) }", value)


def message(page):
    return page.text_content("#message")
