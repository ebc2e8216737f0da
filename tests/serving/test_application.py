"""The API of the web demo over HTTP."""

import io
import json
import socket
import struct
import threading
import types
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps
from reference_serving import (
    CLASSES,
    Gate,
    RedTells,
    as_file,
    ask,
    from_file,
    parts_of_form,
    quarters,
    serving,
    wait_until,
)

from gun_jax.data.synthetic import SyntheticScenes
from gun_jax.prediction.segmenter import Segmenter, network_size
from gun_jax.runs.loading import load_checkpoint
from gun_jax.serving.application import MAX_AT_ONCE
from gun_jax.serving.labelling import Labeller
from gun_jax.visualisation import offset_colors


@pytest.fixture(scope="module")
def url():
    with serving() as url:
        yield url


@pytest.fixture(scope="module")
def trained(random_run):
    """A server of a network, and the network."""
    segmenter = Segmenter(load_checkpoint(random_run.workdir))
    with serving(Labeller(segmenter, 10**6)) as url:
        yield types.SimpleNamespace(url=url, segmenter=segmenter)


@pytest.fixture(scope="module")
def scene():
    return SyntheticScenes(1, (64, 128), seed=3)[0]["image"]


def refused(answer, status, *words):
    """Asserts that a response has this status and an error of one line with these words."""
    assert answer.status == status, answer.content
    line = json.loads(answer.content)["error"]
    assert len(line.splitlines()) == 1
    for word in words:
        assert word in line


# Labels and offsets


def test_labels_are_the_network_s_for_the_same_image(trained, scene):
    answer = ask(trained.url, "POST", "/api/label", as_file(scene))
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/png")
    labels = from_file(answer.content)
    np.testing.assert_array_equal(labels, trained.segmenter(scene[None])[0])
    assert len(np.unique(labels)) > 3


def test_labels_and_offsets_are_the_network_s_for_the_same_image(trained, scene):
    answer = ask(trained.url, "POST", "/api/explain", as_file(scene))
    files = parts_of_form(answer)
    labels, offsets = trained.segmenter.predict_with_offsets(scene)
    colors, full_color = offset_colors(offsets)
    np.testing.assert_array_equal(from_file(files["labels"]), labels)
    np.testing.assert_array_equal(from_file(files["offsets"]), colors)
    assert float(answer.headers["Offsets-Full-Color"]) == pytest.approx(full_color, rel=1e-5)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_photograph_with_an_exif_rotation_is_labelled_upright(url, orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    content = as_file(quarters(64, 96), "jpeg", exif=tags, quality=95)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    labels = from_file(ask(url, "POST", "/api/label", content).content)
    inside = np.abs(upright[..., 0] % 64 - 32.0) < 20  # not at borders of classes, where decoders may differ
    np.testing.assert_array_equal(labels[inside], upright[..., 0][inside] // 64)


def test_responses_report_the_time_of_each_part(url):
    for path in ("/api/label", "/api/explain"):
        timing = ask(url, "POST", path, as_file(quarters())).headers["Server-Timing"]
        parts = dict(part.split(";dur=") for part in timing.split(", "))
        assert list(parts) == ["decode", "label", "encode"]
        assert all(0 < float(time) < 10_000 for time in parts.values())


def test_the_page_gets_classes_and_limits(url):
    facts = json.loads(ask(url, "GET", "/api/network").content)
    assert [(one["name"], tuple(one["color"])) for one in facts.pop("classes")] == list(
        zip(CLASSES.names, CLASSES.colors, strict=True)
    )
    limits = {"frame_pixels": 120 * 160, "most_pixels": 10**6, "most_bytes": 10**6}
    assert facts == limits | {"name": "tested", "engine": "jax"}


def test_the_example_is_a_drawn_scene_of_the_size_of_webcam_frames(url):
    answer = ask(url, "GET", "/api/example?number=7")
    np.testing.assert_array_equal(from_file(answer.content), SyntheticScenes(8, (120, 160))[7]["image"])


# Bad requests


def png_of_size(width, height):
    """A PNG file whose header announces this size, without pixels."""
    chunks = [
        (b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


@pytest.mark.parametrize("path", ["/api/label", "/api/explain"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["not an image", "JPEG"]),
        (b"no image", ["not an image", "JPEG"]),
        (as_file(quarters())[:-30], ["cut off"]),
        (as_file(quarters(), "gif"), ["not an image in a supported format", "PNG"]),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 100000 +X 100000\n", ["not an image in a supported format"]),
        (png_of_size(1001, 1000), ["1001x1000", "at most 1000000 pixels"]),
        (png_of_size(2**30, 2**30), ["too many pixels"]),
    ],
    ids=["empty", "text", "cut off", "GIF", "HDR", "too many pixels", "bomb"],
)  # fmt: skip
def test_a_bad_image_is_refused_in_a_line(url, path, content, words):
    refused(ask(url, "POST", path, content), 400, *words)


@pytest.mark.parametrize("number", ["x", "-1", "1.5", "%C2%B2", "1" * 30])
def test_an_example_number_that_is_no_number_is_refused(url, number):
    refused(ask(url, "GET", f"/api/example?number={number}"), 400, "number is", "whole number")


def test_a_file_whose_announced_length_is_too_large_is_refused_before_it_is_sent(url):
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=20) as connection:
        connection.sendall(b"POST /api/label HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000001\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


def test_a_file_of_unknown_length_is_refused_where_it_gets_too_large(url):
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=20) as connection:
        connection.sendall(b"POST /api/label HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(11):  # and it never ends
            connection.sendall(b"186a0\r\n" + bytes(100_000) + b"\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


def test_a_file_that_is_too_large_is_refused_when_all_was_sent(url):
    refused(ask(url, "POST", "/api/label", bytes(3 * 10**6)), 413, "larger than 1 MB")


def test_a_file_of_the_largest_size_is_accepted_and_a_byte_more_is_not():
    content = as_file(quarters())
    with serving(max_bytes=len(content)) as url:
        assert ask(url, "POST", "/api/label", content).status == 200
        refused(ask(url, "POST", "/api/label", content + b"."), 413)


def test_a_file_that_does_not_arrive_in_time_is_refused():
    with (
        serving(seconds=0.2) as url,
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as connection,
    ):
        connection.sendall(b"POST /api/label HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
        connection.settimeout(20)
        assert connection.recv(1000).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("path", ["/nothing", "/../run.py", "/%2e%2e/run.py", "//etc/passwd", "/..%2frun.py", "/a\\b"])
def test_there_are_no_other_files(url, path):
    refused(ask(url, "GET", path), 404)


# Other sites


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "", "[::", "a b"]
)
def test_an_unknown_host_is_refused(url, host):
    for method, path in (("GET", "/"), ("GET", "/api/network"), ("POST", "/api/label")):
        refused(ask(url, method, path, Host=host), 403, "unknown host", "--names")


@pytest.mark.parametrize("host", ["localhost", "LocalHost:8000", "127.0.0.1:80", "[::1]:8000", "192.168.1.5:8000"])
def test_localhost_and_ip_addresses_are_served(url, host):
    assert ask(url, "GET", "/", Host=host).status == 200


def test_a_host_name_of_the_command_line_is_served():
    with serving(names=["Label.Example.org"]) as url:
        assert ask(url, "GET", "/", Host="label.example.org").status == 200
        own = {"Host": "label.example.org", "Origin": "https://label.example.org"}  # a web server in front does https
        assert ask(url, "POST", "/api/label", as_file(quarters()), **own).status == 200
        assert ask(url, "GET", "/", Host="other.example.org").status == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://127.0.0.1", "http://127.0.0.1:1", "http://localhost:8000", "null", "x"]
)
def test_posts_from_another_site_are_refused(url, origin):
    for path in ("/api/label", "/api/explain"):
        refused(ask(url, "POST", path, as_file(quarters()), Origin=origin), 403, "own page")


def test_posts_from_the_own_page_and_from_programs_are_accepted(url):
    for headers in ({"Origin": url}, {}):
        assert ask(url, "POST", "/api/label", as_file(quarters()), **headers).status == 200


def test_every_response_has_the_security_headers_and_sets_no_cookie(url):
    answers = [
        ask(url, "GET", "/"),
        ask(url, "GET", "/main.js"),
        ask(url, "GET", "/nothing"),
        ask(url, "GET", "/", Host="evil.example"),
        ask(url, "POST", "/api/label", b""),
        ask(url, "POST", "/api/label", as_file(quarters())),
    ]
    assert [answer.status for answer in answers] == [200, 200, 404, 403, 400, 200]
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"].split("; ")
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "frame-ancestors 'none'" in policy
        assert not any(word in " ".join(policy) for word in ("unsafe", "*", "data:", "http"))
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        names = [name.lower() for name in answer.headers if name != "server-timing"]
        assert not [name for name in names if name.startswith(("access-control", "set-cookie", "server"))]


# One at a time


def test_one_image_is_labelled_at_a_time_and_few_wait():
    gate = Gate()
    answers = []
    with serving(Labeller(gate, 10**6)) as url:

        def send():
            answers.append(ask(url, "POST", "/api/label", as_file(quarters())))

        threads = [threading.Thread(target=send) for _ in range(MAX_AT_ONCE + 3)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(answers) == 3)
        assert ask(url, "GET", "/").status == 200  # the page is served meanwhile
        gate.open.set()
        for thread in threads:
            thread.join()
        assert ask(url, "POST", "/api/label", as_file(quarters())).status == 200
    for answer in answers[:3]:
        refused(answer, 503, "too many")
    assert [answer.status for answer in answers[3:]] == [200] * MAX_AT_ONCE
    assert gate.most == 1


def test_a_client_that_disconnects_while_sending_frees_its_place_silently(capfd):
    with serving() as url:
        for _ in range(MAX_AT_ONCE + 1):
            with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as connection:
                connection.sendall(b"POST /api/label HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
        wait_until(lambda: ask(url, "POST", "/api/label", as_file(quarters())).status == 200)
    assert capfd.readouterr() == ("", "")


def test_images_of_clients_that_disconnect_while_waiting_are_not_labelled():
    gate, content = Gate(), as_file(quarters())
    head = f"POST /api/label HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    with serving(Labeller(gate, 10**6)) as url:
        connections = [socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) for _ in range(MAX_AT_ONCE)]
        for connection in connections:
            connection.sendall(head + content)
            wait_until(lambda: gate.inside == 1)  # the first is worked at, the others wait
        refused(ask(url, "POST", "/api/label", content), 503, "too many")
        for connection in connections[1:]:
            connection.close()
        ask(url, "GET", "/")  # then the server has seen it
        gate.open.set()
        assert connections[0].recv(12) == b"HTTP/1.1 200"
        connections[0].close()
        wait_until(lambda: ask(url, "POST", "/api/label", content).status == 200)
    assert gate.count == 2


def test_a_defect_of_the_server_is_an_internal_error_with_details_on_its_console_alone(capfd):
    class Wrong(RedTells):
        def predict_with_offsets(self, image):
            raise RuntimeError("secret of the inside")

    with serving(Labeller(Wrong(), 10**6)) as url:
        answer = ask(url, "POST", "/api/explain", as_file(quarters()))
        refused(answer, 500, "internal error")
        assert b"secret" not in answer.content
        assert "RuntimeError: secret of the inside" in capfd.readouterr().err
        assert ask(url, "POST", "/api/label", as_file(quarters())).status == 200


# An image of one row


@pytest.mark.parametrize("shape", [(1, 10**6), (10**6, 1), (3, 20_000), (64, 10**6)])
@pytest.mark.parametrize("learned", [(360, 480), (1024, 2048), None])
def test_the_network_sees_no_more_of_a_long_image_than_of_another(shape, learned):
    height, width = network_size(shape, learned)
    assert height * width <= 1.1 * np.prod(learned or (1024, 2048))
    assert min(height, width) >= 64
