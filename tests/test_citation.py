"""CITATION.cff: the keys that the format asks for, this version, and the paper."""

import datetime
import pathlib
import re

import pytest
import yaml

import gun_jax

ROOT = pathlib.Path(gun_jax.__file__).parents[1]


@pytest.fixture(scope="module")
def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text())


def test_the_citation_has_what_the_format_asks_for(citation):
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "type", "license"} <= citation.keys()
    assert all("name" in author or {"family-names", "given-names"} <= author.keys() for author in citation["authors"])


def test_the_citation_is_of_this_version(citation):
    assert citation["version"] == gun_jax.__version__


def test_the_changelog_has_this_version_and_its_date(citation):
    changes = (ROOT / "docs" / "CHANGELOG.md").read_text()
    (date,) = re.findall(rf"^## {re.escape(gun_jax.__version__)}, (.*)$", changes, flags=re.MULTILINE)
    assert citation["date-released"] == datetime.date.fromisoformat(date)


def test_the_citation_names_the_paper_as_the_readme_does(citation):
    (paper,) = citation["references"]
    (author,) = paper["authors"]
    named = f"{author['given-names'][0]}. {author['family-names']}, *{paper['title']}*, BMVC {paper['year']}"
    assert named in (ROOT / "README.md").read_text()
    assert {"type", "title", "authors"} <= paper.keys()
