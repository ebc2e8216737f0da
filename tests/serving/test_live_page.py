"""The web demo in a browser: images and offsets, with a network whose labels are known."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from reference_browser import overflow, visit
from reference_live_page import (
    ANSWERED,
    QUARTERS,
    blend,
    colors_shown,
    drag,
    message,
    open_file,
    open_quarters,
    pixel,
    wait_for,
)
from reference_serving import CLASSES, Gate, as_file, from_file, quarters, serving

from gun_jax.serving.labelling import Labeller
from gun_jax.visualisation import wheel_key

# An image


def test_an_empty_page_invites_images_and_lists_the_classes(page):
    assert page.is_visible("text=Drop an image or a video here")
    assert [row.split("\n")[0] for row in page.locator("#classes li").all_inner_texts()] == list(CLASSES.names)
    assert page.text_content("#network") == "tested, 4 classes, engine: jax"
    assert page.is_disabled("#save") and page.is_hidden("#canvas")


def test_an_image_is_shown_under_the_colours_of_its_labels(page):
    open_quarters(page)
    for id, shown in colors_shown(page).items():
        np.testing.assert_allclose(shown, blend(id, 0.5), atol=2)
    assert page.locator("#classes .share").all_inner_texts() == ["25 %"] * 4


def test_an_image_can_be_dropped_on_the_page(page):
    content = base64.b64encode(as_file(quarters())).decode()
    page.evaluate(
        """async (content) => {
          const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
          for (const type of ["dragover", "drop"]) {
            document.body.dispatchEvent(
              new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
          }
        }""",
        content,
    )
    wait_for(page, ANSWERED)
    np.testing.assert_allclose(colors_shown(page)[2], blend(2, 0.5), atol=2)
    assert page.get_attribute("#canvas", "aria-label").startswith("dropped.png: road 25 %")


def test_a_class_that_is_switched_off_shows_the_image(page):
    open_quarters(page)
    page.get_by_role("checkbox", name="sky").uncheck()
    np.testing.assert_allclose(colors_shown(page)[2], quarters()[80, 10], atol=1)
    np.testing.assert_allclose(colors_shown(page)[1], blend(1, 0.5), atol=2)
    page.click("#none")
    np.testing.assert_allclose(colors_shown(page)[1], quarters()[10, 100], atol=1)
    page.click("#all")
    np.testing.assert_allclose(colors_shown(page)[2], blend(2, 0.5), atol=2)


def test_the_opacity_of_the_colours_follows_the_slider(page):
    open_quarters(page)
    for opacity in (0, 25, 100):
        drag(page, "#opacity", opacity)
        np.testing.assert_allclose(colors_shown(page)[3], blend(3, opacity / 100), atol=2)


def test_colours_or_the_image_can_be_shown_alone_without_a_new_request(page):
    open_quarters(page)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.check("[value=colors]")
    np.testing.assert_array_equal(list(colors_shown(page).values()), CLASSES.colors)
    page.check("[value=image]")
    np.testing.assert_allclose(colors_shown(page)[0], quarters()[10, 10], atol=1)
    assert asked == []


def test_offsets_are_shown_with_their_key(page):
    open_quarters(page)
    page.check("[value=offsets]")
    wait_for(page, "document.getElementById('full-color').textContent.startsWith('2.0 pixels')")
    np.testing.assert_array_equal(pixel(page, 60, 40), (255, 0, 0, 255))  # all to the right: red
    assert page.is_visible("#wheel") and page.is_hidden("#opacity")
    page.check("[value=overlay]")
    np.testing.assert_allclose(colors_shown(page)[1], blend(1, 0.5), atol=2)


def test_the_wheel_has_the_colours_of_the_offsets(page):
    page.check("[value=offsets]")
    image = Image.open(io.BytesIO(page.locator("#wheel").screenshot())).convert("RGB")
    shown = np.asarray(image, float)[:56, :56]
    y, x = np.mgrid[:56, :56] - 27.5
    inside = np.hypot(x, y) < 25
    difference = np.abs(shown - wheel_key(56))[inside]
    assert difference.mean() < 6 and np.quantile(difference, 0.99) < 24


def test_the_class_under_the_pointer_is_named(page):
    open_quarters(page)
    box = page.locator("#canvas").bounding_box()
    for id, (x, y) in QUARTERS.items():
        page.mouse.move(box["x"] + (x + 0.5) / 128 * box["width"], box["y"] + (y + 0.5) / 96 * box["height"])
        assert page.inner_text("#chip") == CLASSES.names[id]
        assert page.locator("#classes li.marked").inner_text().startswith(CLASSES.names[id])
    page.mouse.move(1, 1)
    assert page.is_hidden("#chip")


def test_a_photograph_with_an_exif_rotation_lies_under_its_labels(page):
    tags = Image.Exif()
    tags[0x0112] = 6
    stored = np.ascontiguousarray(np.rot90(quarters()))  # upright when turned to the right
    open_file(page, "turned.jpg", "image/jpeg", as_file(stored, "jpeg", exif=tags, quality=95, subsampling=0))
    wait_for(page, ANSWERED)
    assert page.evaluate("[canvas.width, canvas.height]") == [128, 96]
    for id, shown in colors_shown(page).items():
        np.testing.assert_allclose(shown, blend(id, 0.5), atol=6)


def test_the_view_can_be_saved(page):
    open_quarters(page)
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "quarters-overlay.png"
    saved = from_file(download.value.path().read_bytes())
    assert saved.shape[:2] == (96, 128)
    for id, (x, y) in QUARTERS.items():
        np.testing.assert_allclose(saved[y, x, :3], blend(id, 0.5), atol=2)


def test_the_example_is_labelled_and_called_synthetic(page):
    page.click("#example")
    wait_for(page, ANSWERED)
    assert "synthetic" in message(page)
    assert page.evaluate("[canvas.width, canvas.height]") == [160, 120]


@pytest.mark.parametrize(
    ("name", "kind", "content", "words"),
    [
        ("notes.txt", "text/plain", b"no image", "notes.txt is not an image or video that this browser can open."),
        ("large.png", "image/png", bytes(10**6 + 1), "large.png is 1.0 MB; the limit is 1.0 MB."),
        ("broken.webm", "video/webm", b"no video", "This browser cannot play broken.webm"),
    ],
    ids=["no image", "too large", "no video"],
)
def test_a_file_that_cannot_be_opened_is_reported_in_a_sentence(page, name, kind, content, words):
    open_file(page, name, kind, content)
    page.wait_for_selector("#message.error")
    assert message(page).startswith(words)
    assert page.is_visible("#empty")


def test_the_keyboard_reaches_and_moves_all_controls(page):
    open_quarters(page)
    page.focus("#open")
    reached = ["open"]
    while len(reached) < 40 and page.evaluate("document.activeElement !== document.body"):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.type"))
    expected = ["open", "webcam", "example", "copy", "save", "radio", "opacity", "all", "none", *["checkbox"] * 4]
    assert reached[: len(expected)] == expected
    page.focus("[value=overlay]")
    page.keyboard.press("ArrowRight")
    np.testing.assert_array_equal(colors_shown(page)[0], CLASSES.colors[0])
    page.get_by_role("checkbox", name="road").press("Space")
    assert pixel(page, *QUARTERS[0])[3] == 0


@pytest.mark.parametrize(("width", "dark"), [(390, False), (1280, True)])
def test_the_page_is_no_wider_than_its_window(browser, url, width, dark):
    with visit(browser, url, width=width, dark=dark) as page:
        page.wait_for_selector("#classes li")
        assert overflow(page) <= 0
        open_quarters(page)
        page.check("[value=offsets]")
        assert overflow(page) <= 0
        shown = page.evaluate("[...document.querySelectorAll('#stage, aside')].map((part) => part.clientWidth)")
        assert min(shown) > 300  # beside each other, or else one below the other


# Errors


@pytest.mark.parametrize("example", [False, True], ids=["images", "examples"])
def test_of_images_opened_in_quick_succession_the_last_one_is_labelled(browser, example):
    gate, statuses = Gate(), []
    busy = "status of 503"  # logged by the browser, whatever the page makes of it
    with serving(Labeller(gate, 10**6)) as url, visit(browser, url, expected=busy) as window:
        window.wait_for_selector("#classes li")
        window.on("response", lambda response: statuses.append(response.status))
        for number in range(8):
            if example and number > 3:
                window.click("#example")
            else:
                open_file(window, f"{number}.png", "image/png", as_file(quarters()))
        while 503 not in statuses:
            window.wait_for_timeout(10)
        window.check("[value=offsets]")
        window.check("[value=overlay]")
        window.wait_for_timeout(700)  # it asks again
        assert statuses.count(503) > 2 and gate.count == 1
        gate.open.set()
        wait_for(window, ANSWERED)
        assert ("synthetic" if example else "7.png, 128 x 96") in message(window)
        assert window.locator("#message.error").count() == 0
        assert gate.count < 5  # cancelled requests are not labelled


def test_an_error_of_the_page_itself_is_shown_and_logged(browser, url):
    with visit(browser, url, expected="no such part") as window:
        window.wait_for_selector("#classes li")
        window.evaluate("createImageBitmap = () => Promise.resolve({ get width() { throw Error('no such part'); } })")
        with window.expect_event("pageerror") as thrown:
            open_file(window, "quarters.png", "image/png", as_file(quarters()))
        assert "no such part" in str(thrown.value)
        assert message(window) == "Error in this page: no such part"
        assert window.is_visible("#message.error")
