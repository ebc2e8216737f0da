"""README and docs: every block of code is run or checked, and every link has a target.

Blocks of Python are executed, those of a page in one namespace and one folder, and JSON is read; lines of a shell are
in test_docs_commands.py. A block that is none of these stands in `LISTINGS`, or fails.
"""

import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
from reference_docs import (
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
    links,
)
from reference_python_of_docs import execute

from gun_jax.configuration import default_config
from gun_jax.data.classes import load_class_map
from gun_jax.data.sources import load_source

WITH_PYTHON = [page for page in PAGES if blocks_of("python", page)]


def test_every_block_is_run_or_checked():
    assert [block.place for block in all_blocks() if block.kind is None] == []
    assert {block.kind for block in all_blocks()} == {"python", "json", "shell", "folder", "files", "list of words"}


@pytest.mark.parametrize("language", ["yaml", "text", "Python", "python3"])
def test_a_block_of_another_language_is_found(language):
    (block,) = blocks("a page", f"# Title\n\n```{language}\n1 + 1\n```\n")
    assert (block.place, block.kind) == ("a page:3", None)


def test_a_block_that_does_not_end_is_found():
    with pytest.raises(WrongPageError, match="a page:3"):
        blocks("a page", "# Title\n\n```python\n1 + 1\n")


# Python


@pytest.fixture(scope="module")
def errors(tmp_path_factory, request):
    """The error in the Python of each page, or "". All pages run in one process, because starting one takes long."""
    arguments = []
    for page in WITH_PYTHON:
        folder = tmp_path_factory.mktemp("page")
        arguments += [page, str(folder)]
        if any('"runs/camvid"' in block.text for block in blocks_of("python", page)):
            shutil.copytree(request.getfixturevalue("random_run").workdir, folder / "runs" / "camvid")
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "reference_python_of_docs.py", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(WITH_PYTHON, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_python_of_a_page_runs(errors, page):
    assert errors[page] == ""


@pytest.mark.parametrize("comment", ["(2, 3)", "(3, 2) int32", "(3, 2, 1)"])
def test_a_wrong_shape_in_a_comment_is_found(comment):
    with pytest.raises(WrongPageError, match=r"a page:2: it is \(3, 2\) float64"):
        execute(Block("a page", 1, "python", f"x = np.zeros((3, 2))  # {comment}"), {"np": np})


def test_names_of_the_package_in_text_exist():
    names = {
        name for page in PAGES for code in code_in_lines(page) for name in re.findall(r"\bgun_jax(?:\.\w+)+", code)
    }
    assert len(names) > 5
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


def test_the_folder_with_its_class_map_is_a_data_set(tmp_path):
    (listing,), (class_map,) = blocks_of("folder"), blocks_of("json", "docs/train.md")
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


def test_listed_files_exist():
    names = [
        name
        for block in blocks_of("files")
        for line in block.text.splitlines()
        for name in re.split(r" {2,}", line)[0].split()
    ]
    assert len(names) > 10
    assert [name for name in names if name != "..." and not (ROOT / name).exists()] == []


# Links


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page):
    check_links(page)


def test_pages_have_links():
    assert sum(len(links(page)) for page in PAGES) > 40


@pytest.mark.parametrize("target", ["docs/no.md", "README.md#nothing", "#nothing", "docs/gum.md#the-problem"])
def test_a_link_that_leads_nowhere_is_found(target):
    with pytest.raises(WrongPageError, match="leads to no"):
        check_links("README.md", f"# Title\n\n[text]({target})\n")


def test_anchors_are_those_of_github():
    page = "# Does `GUM` help, and where?\n\n## In [JAX](x.md)\n\n```\n# no heading\n```\n\n## In JAX\n"
    assert list(anchors("a page", page)) == ["does-gum-help-and-where", "in-jax", "in-jax-1"]
