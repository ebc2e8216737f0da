"""Serves a web page that segments images, videos and your webcam; open the address that it prints.

    python serve.py
    python serve.py --workdir=runs/gun --port=8080

Installed, the command is gun-serve. Without --workdir it uses a pretrained model (CamVid's 11 classes of street
scenes), by default --model=fast. Only this machine can reach the page, unless --host allows others: docs/serve.md.
"""

from absl import flags

from gun_jax.data.images import MAX_PIXELS
from gun_jax.errors import InputError
from gun_jax.programs import command_line

_NETWORK = command_line.define_network()
_HOST = flags.DEFINE_string("host", "127.0.0.1", "Address to listen on; 0.0.0.0: all addresses of this machine.")
_PORT = flags.DEFINE_integer("port", 8000, "Port to listen on; 0: any free port.", lower_bound=0, upper_bound=65535)
_NAMES = flags.DEFINE_list(
    "names", [], "Host names under which the page is served, beside localhost and numeric addresses."
)
_MAX_MEGABYTES, _MAX_MEGAPIXELS = 1000, MAX_PIXELS // 10**6
_MEGABYTES = flags.DEFINE_float("megabytes", 20.0, f"Largest size of an image file, at most {_MAX_MEGABYTES}.")
_MEGAPIXELS = flags.DEFINE_float(
    "megapixels", 40.0, f"Largest size of an image in megapixels, at most {_MAX_MEGAPIXELS}."
)


def main() -> None:
    for flag, most in ((_MEGABYTES, _MAX_MEGABYTES), (_MEGAPIXELS, _MAX_MEGAPIXELS)):
        if not 0 < flag.value <= most:
            raise InputError(f"--{flag.name} is {flag.value:g}; expected more than 0, and at most {most}")
    network = _NETWORK()
    from gun_jax.serving.run import run_server  # late: bad flags end the program at once

    run_server(
        **network,
        host=_HOST.value,
        port=_PORT.value,
        names=_NAMES.value,
        megabytes=_MEGABYTES.value,
        megapixels=_MEGAPIXELS.value,
    )


def run() -> None:
    """The program."""
    command_line.run(main)
