"""Videos and the webcam on the web demo's page, with a network whose labels are known."""

import time

import numpy as np
import pytest
from reference_live_page import blend, colors_shown, drag, message, open_file, open_quarters, pixel, wait_for
from reference_serving import RedTells, serving, write_video

from gun_jax.serving.labelling import Labeller


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "quarters.webm"
    write_video(path)
    return path.read_bytes()


class Traffic:
    """Counts a page's requests for labels, and how many run at once."""

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


def test_a_video_is_labelled_frame_by_frame(page, video):
    traffic = Traffic(page)
    open_file(page, "quarters.webm", "video/webm", video)
    wait_for_frames(page)
    sides = set()
    for _ in range(200):
        # In every other second the video is mirrored, and its labels with it.
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
    assert page.text_content("#time").endswith("/ 0:02")


def test_a_paused_video_sends_no_requests_until_it_resumes_or_seeks(page, video):
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


def test_offsets_of_a_paused_video_are_requested(page, video):
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
    assert "does not store" in message(page)
    assert page.is_hidden("#position")
    assert rate(page) > 1
    page.evaluate("window.camera = document.getElementById('video').srcObject.getTracks()[0]")
    page.click("#stop")
    assert page.evaluate("window.camera.readyState") == "ended"
    traffic = Traffic(page)
    page.wait_for_timeout(300)
    assert traffic.count == 0 and page.is_hidden("#playback")
    assert page.is_enabled("#save")


def test_an_image_ends_the_webcam(page):
    page.click("#webcam")
    wait_for_frames(page)
    page.evaluate("window.camera = document.getElementById('video').srcObject.getTracks()[0]")
    open_quarters(page)
    wait_for(page, "canvas.width === 128")
    assert page.evaluate("window.camera.readyState") == "ended"
    page.wait_for_timeout(200)
    np.testing.assert_allclose(colors_shown(page)[1], blend(1, 0.5), atol=2)
