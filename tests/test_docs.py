"""README and docs: every block of code runs or is checked, and every link leads somewhere.

Blocks of Python are executed, those of a page in one namespace and one folder, and JSON is read; lines of a shell are
in test_docs_commands.py. A block that is none of these stands in `LISTINGS`, or fails.
"""

import ast
import json
import os
import pathlib
import pkgutil
import re
import shutil

import cv2
import numpy as np
import pytest
from docs_by_hand import (
    PAGES,
    ROOT,
    Block,
    WrongPageError,
    all_blocks,
    anchors,
    blocks,
    blocks_of,
    check_links,
    code_in_lines,
)

from gun_jax.configuration import default_config
from gun_jax.data.classes import load_class_map
from gun_jax.data.sources import load_source

# What a page's blocks find besides what earlier ones made, and besides the trained run of `prepare`.
GIVEN = {"README.md": {"images": np.zeros((1, 64, 128, 3), np.uint8)}}


def test_every_block_is_of_a_kind_that_is_run_or_checked():
    assert {block.kind for block in all_blocks()} == {"python", "json", "shell", "folder", "files", "list of words"}


@pytest.mark.parametrize("language", ["yaml", "text", "Python", "python3"])
def test_a_block_of_another_language_is_found(language):
    (block,) = blocks("a page", f"# Title\n\n```{language}\n1 + 1\n```\n")
    with pytest.raises(WrongPageError, match=f"a page:3: no test runs or checks '{language}'"):
        _ = block.kind


def test_a_block_that_does_not_end_is_found():
    with pytest.raises(WrongPageError, match="a page:3"):
        blocks("a page", "# Title\n\n```python\n1 + 1\n")


# Python


def prepare(text, run):
    """Puts a small network with random variables where blocks have a trained one, and what export.py makes of it."""
    if "runs/camvid" in text:
        shutil.copytree(run.workdir, "runs/camvid")
    if "runs/camvid/export/stablehlo" in text:
        from gun_jax.export.stablehlo import stablehlo_network

        os.makedirs("runs/camvid/export")
        network = stablehlo_network(run.model, run.variables)
        pathlib.Path("runs/camvid/export/stablehlo.stablehlo").write_bytes(network)


def execute(block, names):
    """Runs a block; what ends with a comment as "# (2, 48) int32" has to give an array of this shape and dtype."""
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


@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of("python", page)])
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch, random_run):
    monkeypatch.chdir(tmp_path)
    code = blocks_of("python", page)
    prepare("".join(block.text for block in code), random_run)
    names = dict(GIVEN.get(page, {}))
    for block in code:
        execute(block, names)


@pytest.mark.parametrize("comment", ["(2, 3)", "(3, 2) int32", "(3, 2, 1)"])
def test_a_shape_that_is_not_so_is_found(comment):
    with pytest.raises(WrongPageError, match=r"a page:2: it is \(3, 2\) float64"):
        execute(Block("a page", 1, "python", f"x = np.zeros((3, 2))  # {comment}"), {"np": np})


def test_names_of_the_package_in_text_are_there():
    names = {
        name for page in PAGES for code in code_in_lines(page) for name in re.findall(r"\bgun_jax(?:\.\w+)+", code)
    }
    assert len(names) > 10
    assert [name for name in names if not is_there(name)] == []


def is_there(name):
    """Whether a dotted name is a module, or something in one."""
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


# JSON and listings


@pytest.mark.parametrize("block", blocks_of("json"), ids=lambda block: block.place)
def test_json_is_json_and_class_maps_load(block, tmp_path, strict_json):
    content = strict_json(block.text)
    if "classes" in content:
        (tmp_path / "classes.json").write_text(block.text)
        assert len(load_class_map(tmp_path / "classes.json")) == len(content["classes"])


def test_the_readme_s_folder_with_its_class_map_is_a_data_set(tmp_path):
    (listing,), (class_map,) = blocks_of("folder"), blocks_of("json", "README.md")
    values = [value for entry in json.loads(class_map.text)["classes"] for value in entry["values"]]
    for file in (tmp_path / name for name in listing.text.replace("...", "").split()):
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.name == "classes.json":
            file.write_text(class_map.text)
        else:
            labels = np.tile(np.uint8(values), (8, 1))
            assert cv2.imwrite(str(file), labels if file.parent.name == "labels" else np.dstack([labels] * 3))
    data = default_config().data
    data.source, data.dir = "folder", str(tmp_path / "mydata")
    for split in ("train", "val"):
        (record,) = load_source(data, split)
        assert set(np.unique(record["label"])) == {0, 1}


def test_listed_files_are_there():
    names = [
        name
        for block in blocks_of("files")
        for line in block.text.splitlines()
        for name in re.split(r" {2,}", line)[0].split()
    ]
    assert len(names) > 10
    assert [name for name in names if not (ROOT / name).exists()] == []


# Links


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page):
    check_links(page)


def test_pages_have_links():
    assert sum(map(check_links, PAGES)) > 50


@pytest.mark.parametrize("target", ["docs/no.md", "README.md#nothing", "#nothing", "docs/gum.md#the-problem"])
def test_a_link_that_leads_nowhere_is_found(target):
    with pytest.raises(WrongPageError, match="leads to no"):
        check_links("README.md", f"# Title\n\n[text]({target})\n")


def test_anchors_are_those_of_github():
    page = "# Does `GUM` help, and where?\n\n## In [JAX](x.md)\n\n```\n# no heading\n```\n\n## In JAX\n"
    assert list(anchors("a page", page)) == ["does-gum-help-and-where", "in-jax", "in-jax-1"]
