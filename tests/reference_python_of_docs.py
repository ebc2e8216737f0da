"""Executes the Python in pages of Markdown: a program for test_docs.py.

    python reference_python_of_docs.py PAGE FOLDER [PAGE FOLDER ...]

The blocks of a page run in a row, in one namespace and in the folder. On stdout a JSON list: for each page "", or the
traceback of what went wrong, in which files and lines are those of the page.
"""

import ast
import contextlib
import io
import json
import os
import pathlib
import re
import sys
import traceback

import jax
import numpy as np
from reference_docs import ROOT, WrongPageError, blocks_of

import gun_jax
from gun_jax.export.stablehlo import stablehlo_network

STABLEHLO = pathlib.Path("runs/camvid/export/stablehlo.stablehlo")


def prepare(text):
    """Writes the files that blocks read into the folder. (For "runs/camvid", test_docs.py does it.)"""
    if str(STABLEHLO) in text:
        model = gun_jax.GUN(3, encoder="enc4", guidance=None, width=0.1)
        variables = jax.jit(model.init)(jax.random.key(0), np.zeros((1, 64, 64, 3), np.float32))
        STABLEHLO.parent.mkdir(parents=True, exist_ok=True)
        STABLEHLO.write_bytes(stablehlo_network(model, variables))


def execute(block, names):
    """Runs a block; a statement with a comment like "# (2, 48) int32" has to give an array of this shape and dtype."""
    lines = ["\n"] * block.line + block.text.splitlines(keepends=True)
    for statement in ast.parse("".join(lines)).body:
        value = None
        if isinstance(statement, ast.Expr):
            value = eval(compile(ast.Expression(statement.value), str(ROOT / block.page), "eval"), names)
        else:
            exec(compile(ast.Module([statement], []), str(ROOT / block.page), "exec"), names)
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                value = names[statement.targets[0].id]
        said = re.search(r"# \((\d[\d, ]*)\)(?: (u?int\d+|b?float\d+))?", lines[statement.end_lineno - 1])
        if said and not hasattr(statement, "body"):
            found = ", ".join(map(str, value.shape)) + "," * (value.ndim == 1), str(value.dtype)
            if found[0] != said[1] or said[2] not in (None, found[1]):
                raise WrongPageError(f"{block.page}:{statement.end_lineno}: it is ({found[0]}) {found[1]}")


def run(page, folder):
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            code = blocks_of("python", page)
            prepare("".join(block.text for block in code))
            names = {}
            for block in code:
                execute(block, names)
    except Exception:
        return traceback.format_exc()
    return ""


if __name__ == "__main__":
    arguments = iter(sys.argv[1:])
    print(json.dumps([run(page, folder) for page, folder in zip(arguments, arguments, strict=True)]))
