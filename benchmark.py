#!/usr/bin/env python3
"""Times the networks of the paper's Tables 1, 2 and 4 on this machine, beside the paper's figures.

    python benchmark.py [--tables=1,2,4] [--size=512x1024] [--markdown=docs/tables.md]
    python benchmark.py --peers [--parts=labels,training] [--markdown=docs/peers.md]
    python benchmark.py --against=CHECKOUT [--parts=labels,gum,training,training-large]

The size is that of the medium branch's input: half of the original image in each direction. With --peers: the final
network beside PyTorch and OpenVINO (the `parity` and `export` extras), its memory, scaling, input pipeline and start.
With --against: the final network beside itself in another checkout of this project, which has a .venv of its own.
"""

import pathlib
import sys

from absl import flags

from gun_jax.errors import InputError
from gun_jax.programs import command_line

_TABLES = flags.DEFINE_list("tables", ["1", "2", "4"], "Tables of the paper.")
_SIZE = flags.DEFINE_string("size", "512x1024", "HEIGHTxWIDTH of the medium branch's input, and of the labels.")
_ROUNDS = flags.DEFINE_integer("rounds", 9, "Number of rounds; scaling and start-up have numbers of their own.")
_WIDTH = flags.DEFINE_float("width", 1.0, "Factor on all channels.")
_DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16"], "Dtype of convolutions and activations.")
_PEERS = flags.DEFINE_bool("peers", False, "Compares the final network with its peers.")
_AGAINST = flags.DEFINE_string("against", None, "Folder of another checkout to compare the final network with.")
_PARTS = flags.DEFINE_list("parts", [], "Parts of --peers or --against, e.g. labels,gum; by default all of them.")
_MARKDOWN = flags.DEFINE_string("markdown", None, "File for the tables; with --peers, the parts it measures.")
_OF_TABLES = "tables", "size", "width", "dtype", "compilation_cache"


def main() -> None:
    command = " ".join(["benchmark.py", *sys.argv[1:]])
    markdown = pathlib.Path(_MARKDOWN.value) if _MARKDOWN.value else None
    mode = "--peers" if _PEERS.value else "--against" if _AGAINST.value else ""
    unused = (*_OF_TABLES, *(("against",) if _PEERS.value else ("markdown",))) if mode else ("parts",)
    for name in unused:
        if flags.FLAGS[name].present:
            raise InputError(f"--{name} has no effect {f'with {mode}' if mode else 'without --peers'}; leave it out")
    # The measuring modules take long to import: wrong flags are refused before.
    if mode:
        from benchmarks.peers import AGAINST_GROUPS
        from benchmarks.report import PARTS, report, report_against

        if _PEERS.value:
            report(pathlib.Path(__file__).parent, _PARTS.value or list(PARTS), _ROUNDS.value, markdown, command)
        elif _AGAINST.value:
            report_against(pathlib.Path(_AGAINST.value), _PARTS.value or AGAINST_GROUPS, _ROUNDS.value)
        return
    size = command_line.parse_size("--size", _SIZE.value)
    strange = [table for table in _TABLES.value if not table.strip().isdecimal()]
    if strange:
        raise InputError(f"--tables has {strange[0]!r}; expected numbers, e.g. 1,2,4")
    from benchmarks.tables import benchmark

    tables = [int(table) for table in _TABLES.value]
    benchmark(tables, size, _ROUNDS.value, _WIDTH.value, _DTYPE.value, markdown, command)


if __name__ == "__main__":
    command_line.run(main)
