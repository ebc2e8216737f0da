"""The live page in a browser: pictures, offsets, a video and a webcam, with a network whose labels are known."""

import base64
import io
import time

import numpy as np
import pytest
from browser_by_hand import open_browser, overflow, visit
from PIL import Image
from serving_by_hand import CLASSES, Gate, RedTells, as_file, from_file, quarters, serving, write_video

from gun_jax.serving.labelling import Labeller
from gun_jax.visualisation import wheel_key

FAKE_WEBCAM = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
QUARTERS = {0: (10, 10), 1: (100, 10), 2: (10, 80), 3: (100, 80)}  # (x, y) in each of them, by class
ANSWERED = "document.querySelectorAll('#parts div').length > 0"


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
    """One for all tests: a new one takes longer than most of them. At its end it tells of errors that any has seen."""
    with visit(browser, url) as page:
        yield page


@pytest.fixture
def page(window, url):
    window.goto(url)
    window.wait_for_selector("#classes li")
    return window


def wait_for(page, condition):
    """Waits until an expression holds; Playwright's own way would need a page that evaluates strings."""
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
    """What a quarter looks like under the colour of its class."""
    x, y = QUARTERS[id]
    return (1 - opacity) * quarters()[y, x] + opacity * np.array(CLASSES.colors[id])


def drag(page, selector, value):
    page.eval_on_selector(selector, "(e, value) => { e.value = value; e.dispatchEvent(new Event('input')) }", value)


def message(page):
    return page.text_content("#message")


# A picture


def test_an_empty_page_says_what_to_do_and_lists_the_classes(page):
    assert page.is_visible("text=Drop a picture or a video here")
    assert [row.split("\n")[0] for row in page.locator("#classes li").all_inner_texts()] == list(CLASSES.names)
    assert page.text_content("#network") == "tested: 4 classes, engine jax"
    assert page.is_disabled("#save") and page.is_hidden("#canvas")


def test_a_picture_is_shown_under_the_colours_of_its_labels(page):
    open_quarters(page)
    for id, shown in colors_shown(page).items():
        np.testing.assert_allclose(shown, blend(id, 0.5), atol=2)
    assert page.locator("#classes .share").all_inner_texts() == ["25 %"] * 4


def test_a_picture_can_be_dropped_on_the_page(page):
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


def test_a_class_that_is_switched_off_shows_the_picture(page):
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


def test_colours_or_the_picture_can_be_seen_alone_and_nothing_is_asked_again(page):
    open_quarters(page)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.check("[value=colors]")
    np.testing.assert_array_equal(list(colors_shown(page).values()), CLASSES.colors)
    page.check("[value=picture]")
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
    picture = Image.open(io.BytesIO(page.locator("#wheel").screenshot())).convert("RGB")
    shown = np.asarray(picture, float)[:56, :56]
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


def test_a_photograph_that_a_camera_stored_turned_lies_under_its_labels(page):
    tags = Image.Exif()
    tags[0x0112] = 6
    stored = np.ascontiguousarray(np.rot90(quarters()))  # which turned to the right is upright
    open_file(page, "turned.jpg", "image/jpeg", as_file(stored, "jpeg", exif=tags, quality=95, subsampling=0))
    wait_for(page, ANSWERED)
    assert page.evaluate("[canvas.width, canvas.height]") == [128, 96]
    for id, shown in colors_shown(page).items():
        np.testing.assert_allclose(shown, blend(id, 0.5), atol=6)


def test_what_is_shown_can_be_saved(page):
    open_quarters(page)
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "quarters-overlay.png"
    saved = from_file(download.value.path().read_bytes())
    assert saved.shape[:2] == (96, 128)
    for id, (x, y) in QUARTERS.items():
        np.testing.assert_allclose(saved[y, x, :3], blend(id, 0.5), atol=2)


def test_the_drawn_example_is_labelled_and_said_to_be_drawn(page):
    page.click("#example")
    wait_for(page, ANSWERED)
    assert "drawn" in message(page)
    assert page.evaluate("[canvas.width, canvas.height]") == [160, 120]


@pytest.mark.parametrize(
    ("name", "kind", "content", "words"),
    [
        ("notes.txt", "text/plain", b"no picture", "notes.txt is no picture or video that this browser can show."),
        ("large.png", "image/png", bytes(10**6 + 1), "large.png has 1.0 MB; expected at most 1.0 MB."),
        ("broken.webm", "video/webm", b"no video", "This browser cannot play broken.webm"),
    ],
    ids=["no picture", "too large", "no video"],
)
def test_what_cannot_be_shown_is_told_in_a_sentence(page, name, kind, content, words):
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


# Videos and the webcam


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "quarters.webm"
    write_video(path)
    return path.read_bytes()


class Traffic:
    """What a page asks the server for labels: how often, and how many at once."""

    def __init__(self, page):
        self.count = self.inside = self.most = 0
        page.on("request", self.begin)
        for event in ("requestfinished", "requestfailed"):
            page.on(event, self.end)

    def begin(self, request):
        if request.method == "POST":
            self.count += 1
            self.inside += 1
            self.most = max(self.most, self.inside)

    def end(self, request):
        self.inside -= request.method == "POST"


def rate(page):
    return float((page.text_content("#rate") or "0").split()[0])


def wait_for_frames(page):
    wait_for(page, "parseFloat(document.getElementById('rate').textContent) > 0")


def test_frames_do_not_queue_up_before_a_slow_server(window, video):
    class Slow(RedTells):
        def __call__(self, images):
            time.sleep(0.15)
            return super().__call__(images)

    with serving(Labeller(Slow(), 10**6)) as url:
        window.goto(url)
        window.wait_for_selector("#classes li")
        traffic = Traffic(window)
        open_file(window, "quarters.webm", "video/webm", video)
        wait_for_frames(window)
        window.wait_for_timeout(500)
        assert traffic.most == 1 and traffic.count > 3
        window.goto("about:blank")


@pytest.mark.parametrize("example", [False, True], ids=["pictures", "drawn streets"])
def test_of_pictures_that_follow_each_other_fast_the_last_one_is_labelled(browser, example):
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
        assert ("drawn" if example else "7.png, 128 x 96") in message(window)
        assert window.locator("#message.error").count() == 0
        assert gate.count < 5  # who went away is not worked for


def test_a_mistake_of_the_page_itself_is_told_on_it_and_to_the_console(browser, url):
    with visit(browser, url, expected="no such part") as window:
        window.wait_for_selector("#classes li")
        window.evaluate("createImageBitmap = () => Promise.resolve({ get width() { throw Error('no such part'); } })")
        with window.expect_event("pageerror") as thrown:
            open_file(window, "quarters.png", "image/png", as_file(quarters()))
        assert "no such part" in str(thrown.value)
        assert message(window) == "This page made a mistake: no such part"
        assert window.is_visible("#message.error")


def test_a_video_is_labelled_frame_by_frame(page, video):
    traffic = Traffic(page)
    open_file(page, "quarters.webm", "video/webm", video)
    wait_for_frames(page)
    sides = set()
    for _ in range(200):
        # The right half is at the left in each other second, and its labels go with it.
        shown = colors_shown(page)
        mirrored = [1, 0, 3, 2]
        for side, ids in (("as it is", [0, 1, 2, 3]), ("mirrored", mirrored)):
            if all(np.abs(shown[place] - blend(id, 0.5)).max() < 16 for place, id in enumerate(ids)):
                sides.add(side)
        if len(sides) == 2:
            break
        page.wait_for_timeout(20)
    assert sides == {"as it is", "mirrored"}
    assert traffic.count > 3
    assert rate(page) > 1
    assert page.text_content("#time").endswith("of 0:02")


def test_a_video_that_is_paused_asks_no_more_until_it_goes_on_or_is_moved(page, video):
    traffic = Traffic(page)
    open_file(page, "quarters.webm", "video/webm", video)
    wait_for_frames(page)
    page.click("text=Pause")
    page.wait_for_timeout(200)
    before = traffic.count
    page.wait_for_timeout(300)
    assert traffic.count == before
    drag(page, "#position", 0.75)
    wait_for(page, "Math.abs(document.getElementById('video').currentTime - 1.5) < 0.1")
    page.wait_for_timeout(200)
    assert 1 <= traffic.count - before <= 3
    np.testing.assert_allclose(colors_shown(page)[0], blend(1, 0.5)[:3], atol=16)
    page.click("text=Resume")
    page.wait_for_timeout(300)
    assert traffic.count > before + 3


def test_offsets_of_a_paused_video_are_asked_for(page, video):
    open_file(page, "quarters.webm", "video/webm", video)
    wait_for_frames(page)
    page.click("text=Pause")
    page.check("[value=offsets]")
    wait_for(page, "document.getElementById('full-color').textContent.startsWith('2.0')")
    np.testing.assert_array_equal(pixel(page, 60, 40), (255, 0, 0, 255))


def test_the_webcam_is_labelled_until_it_is_stopped(page):
    page.click("#webcam")
    wait_for_frames(page)
    assert page.evaluate("[canvas.width, canvas.height]") == [640, 480]
    assert "keeps none" in message(page)
    assert page.is_hidden("#position")
    assert rate(page) > 1
    page.evaluate("window.camera = document.getElementById('video').srcObject.getTracks()[0]")
    page.click("#stop")
    assert page.evaluate("window.camera.readyState") == "ended"
    traffic = Traffic(page)
    page.wait_for_timeout(300)
    assert traffic.count == 0 and page.is_hidden("#playback")
    assert page.is_enabled("#save")


def test_a_picture_ends_the_webcam(page):
    page.click("#webcam")
    wait_for_frames(page)
    page.evaluate("window.camera = document.getElementById('video').srcObject.getTracks()[0]")
    open_quarters(page)
    wait_for(page, "canvas.width === 128")
    assert page.evaluate("window.camera.readyState") == "ended"
    page.wait_for_timeout(200)
    np.testing.assert_allclose(colors_shown(page)[1], blend(1, 0.5), atol=2)
