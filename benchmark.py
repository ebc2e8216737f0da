#!/usr/bin/env python3
"""Times the networks of the paper's Tables 1, 2 and 4 on the device at hand, beside the paper's figures.

    python benchmark.py [--tables=1,2,4] [--size=512x1024] [--markdown=docs/tables.md]
    python benchmark.py --peers [--parts=labels,training] [--markdown=docs/peers.md]

The size is what the medium branch sees: half of the original image in each direction. With --peers: the final network
beside PyTorch and OpenVINO (the `parity` and `export` extras), its memory, scaling, input pipeline and start-up.
"""

import pathlib
import sys

from absl import flags

from gun_jax.errors import InputError
from gun_jax.programs import command_line

_TABLES = flags.DEFINE_list("tables", ["1", "2", "4"], "Tables of the paper.")
_SIZE = flags.DEFINE_string("size", "512x1024", "HEIGHTxWIDTH of what the medium branch sees, and of the labels.")
_ROUNDS = flags.DEFINE_integer("rounds", 9, "How often each network or case runs; scaling and start-up have their own.")
_WIDTH = flags.DEFINE_float("width", 1.0, "Factor on all channels.")
_DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "Of convolutions and activations.")
_PEERS = flags.DEFINE_bool("peers", False, "Sets the final network beside its peers in place of the paper's tables.")
_PARTS = flags.DEFINE_list("parts", [], "Of --peers: some of labels, gum, export, training, ...; by default all.")
_MARKDOWN = flags.DEFINE_string(
    "markdown", None, "File to write the tables into; of --peers, the parts that it measures."
)
_OF_TABLES = "tables", "size", "width", "dtype", "compilation_cache"


def main() -> None:
    command = " ".join(["benchmark.py", *sys.argv[1:]])
    markdown = pathlib.Path(_MARKDOWN.value) if _MARKDOWN.value else None
    for name in _OF_TABLES if _PEERS.value else ("parts",):
        if flags.FLAGS[name].present:
            raise InputError(f"--{name} is of no use {'to' if _PEERS.value else 'without'} --peers; leave it out")
    if _PEERS.value:
        from benchmarks.report import PARTS, report  # after the flags: bad ones are told at once

        report(pathlib.Path(__file__).parent, _PARTS.value or list(PARTS), _ROUNDS.value, markdown, command)
        return
    size = command_line.parse_size("--size", _SIZE.value)
    strange = [table for table in _TABLES.value if not table.strip().isdecimal()]
    if strange:
        raise InputError(f"--tables has {strange[0]!r}; expected numbers, as 1,2,4")
    from benchmarks.tables import benchmark  # after the flags: bad ones are told at once

    benchmark(
        [int(table) for table in _TABLES.value],
        size,
        _ROUNDS.value,
        _WIDTH.value,
        _DTYPE.value,
        markdown,
        command,
    )


if __name__ == "__main__":
    command_line.run(main)
