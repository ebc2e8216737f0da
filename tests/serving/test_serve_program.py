"""serve.py on the command line: its output, bad flags, and how it stops."""

import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from reference_serving import as_file, ask, from_file

import gun_jax
from gun_jax.data.synthetic import SyntheticScenes
from gun_jax.errors import InputError
from gun_jax.prediction.segmenter import Segmenter
from gun_jax.runs.loading import load_checkpoint
from gun_jax.serving.web_server import address, is_for_others, listen

ROOT = pathlib.Path(gun_jax.__file__).parents[1]


def start(*arguments, cwd):
    return subprocess.Popen(
        [sys.executable, ROOT / "serve.py", *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def program(random_run, tmp_path):
    """A server of a run, and its address."""
    process = start(f"--workdir={random_run.workdir}", "--port=0", cwd=tmp_path)
    try:
        assert "compiling for" in process.stdout.readline()
        yield process, re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())[0]
    finally:
        process.kill()
        process.wait()


def stop(process, number):
    """Stops it by a signal: soon, with one line of output."""
    begin = time.monotonic()
    process.send_signal(number)
    said, errors = process.communicate(timeout=60)
    assert (process.returncode, said, errors) == (0, "stopped\n", "")
    assert time.monotonic() - begin < 10


def test_the_program_serves_a_run_and_stops_on_sigterm_even_while_it_compiles(program, random_run, tmp_path):
    process, url = program
    assert "<canvas" in ask(url, "GET", "/").content.decode()
    scene = SyntheticScenes(1, (64, 128))[0]["image"]
    labels = from_file(ask(url, "POST", "/api/label", as_file(scene)).content)
    np.testing.assert_array_equal(labels, Segmenter(load_checkpoint(random_run.workdir))(scene[None])[0])
    # A second server at this port fails before it loads a network.
    second = start("--workdir=nowhere", f"--port={url.rpartition(':')[2]}", cwd=tmp_path)
    said, line = second.communicate(timeout=60)
    assert (second.returncode, said, len(line.splitlines())) == (2, "", 1)
    assert "cannot listen at 127.0.0.1" in line and "--port" in line
    threading.Thread(target=_ask_while_stopping, args=(url,), daemon=True).start()
    time.sleep(0.3)
    stop(process, signal.SIGTERM)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_ctrl_c_stops_the_program(program):
    stop(program[0], signal.SIGINT)


def _ask_while_stopping(url):
    with contextlib.suppress(OSError):
        ask(url, "POST", "/api/explain", as_file(SyntheticScenes(1, (96, 160))[0]["image"]))


def test_an_address_at_which_it_cannot_listen_is_refused_in_a_line():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"cannot listen at 127.0.0.1, port {port}: .*; choose another --port"):
            listen("127.0.0.1", port)
    with pytest.raises(InputError, match="--host is 'no such host'"):
        listen("no such host", 0)
    with pytest.raises(InputError, match=r"cannot listen at 192\.0\.2\.1"):
        listen("192.0.2.1", 0)


@pytest.mark.parametrize(
    ("host", "shown", "others"),
    [("127.0.0.1", "127.0.0.1", False), ("localhost", "127.0.0.1", False), ("0.0.0.0", "localhost", True)],
)
def test_the_printed_address_can_be_opened(host, shown, others):
    with listen(host, 0) as listening:
        url = address(listening)
        assert url == f"http://{shown}:{listening.getsockname()[1]}"
        assert is_for_others(listening) == others
        socket.create_connection((shown, listening.getsockname()[1])).close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port=70000"], ["port", "70000"]),
        (["--megabytes=0"], ["--megabytes is 0", "more than 0"]),
        (["--megapixels=nan"], ["--megapixels is nan"]),
        (["--megabytes=1001"], ["--megabytes is 1001", "at most 1000"]),
        (["--megapixels=90"], ["--megapixels is 90", "at most 89"]),
        (["--size=480"], ["--size", "HEIGHTxWIDTH"]),
        (["--engine=torch"], ["engine", "torch"]),
        (["--workdir=nowhere", "--port=0"], ["nowhere"]),
        (["image.jpg"], ["'image.jpg' is not expected"]),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("--") else "",
)
def test_a_bad_flag_is_refused_in_a_line(tmp_path, arguments, words):
    program = start(*arguments, cwd=tmp_path)
    _, line = program.communicate(timeout=60)
    assert (program.returncode, len(line.splitlines())) == (2, 1), line
    for word in words:
        assert word in line
