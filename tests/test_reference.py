"""The API reference: what has pages, that lists are lists, and that a warning keeps it from being written."""

import html.parser
import importlib
import pathlib
import sys

import pytest

import gun_jax

ROOT = pathlib.Path(gun_jax.__file__).parents[1]


@pytest.fixture(scope="module")
def reference():
    sys.path.append(str(ROOT / "docs"))
    yield importlib.import_module("reference")
    sys.path.remove(str(ROOT / "docs"))


@pytest.fixture(scope="module")
def pages(reference):
    pytest.importorskip("pdoc", reason="`make docs` installs it")
    return reference.pages()


class _Page(html.parser.HTMLParser):
    """The ids of a page, its links, and the texts of its list items."""

    def __init__(self, content):
        super().__init__()
        self.ids, self.links, self.items, self._item = set(), [], [], None
        self.feed(content)

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.ids.add(named.get("id"))
        self.links += [named["href"]] if "href" in named else []
        if tag == "li":
            self._item = ""

    def handle_endtag(self, tag):
        if tag == "li" and self._item is not None:
            self.items.append(" ".join(self._item.split()))
            self._item = None

    def handle_data(self, data):
        if self._item is not None:
            self._item += data


@pytest.mark.slow
def test_the_reference_has_no_warnings(pages):
    assert pages[1] == []


@pytest.mark.slow
def test_the_first_page_has_every_public_name_and_leads_to_every_other_page(pages):
    files, _ = pages
    ids = _Page(files["gun_jax.html"]).ids
    assert {*gun_jax.__all__, "GUN.__call__", "GUN.predict"} <= ids
    assert not {"GUN.parent", "GUN.setup", "GUN.num_classes"} & ids
    seen, waiting = set(), ["gun_jax.html"]
    while waiting:
        name = waiting.pop()
        if name in files and name not in seen:
            seen.add(name)
            for link in _Page(files[name]).links:
                path = (pathlib.PurePosixPath(name).parent / link.partition("#")[0]).as_posix()
                waiting.append(str(pathlib.Path("/", path).resolve().relative_to("/")))
    assert seen == {name for name in files if name.endswith(".html")} - {"index.html"}


@pytest.mark.slow
def test_arguments_are_items_of_lists_and_signatures_name_what_users_know(pages):
    page = pages[0]["gun_jax/sampling.html"]
    (offsets,) = [item for item in _Page(page).items if item.startswith("offsets: (B, H, W, 2)")]
    assert offsets.endswith("NaN counts as no offset.")  # and not what follows it
    assert "jax.Array" in page and "_jax" not in page.replace("gun_jax", "")


def test_a_warning_is_told_and_nothing_is_written(reference, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(reference, "pages", lambda: ({"index.html": "a page"}, ["a broken docstring"]))
    monkeypatch.setattr(sys, "argv", ["reference.py", str(tmp_path / "pages")])
    with pytest.raises(SystemExit) as stop:
        reference.main()
    assert stop.value.code and "a broken docstring" in capsys.readouterr().err
    assert not (tmp_path / "pages").exists()


def test_the_reference_is_written_where_it_is_told(reference, monkeypatch, tmp_path):
    monkeypatch.setattr(reference, "pages", lambda: ({"gun_jax/sampling.html": "a page"}, []))
    monkeypatch.setattr(sys, "argv", ["reference.py", str(tmp_path / "pages")])
    reference.main()
    assert (tmp_path / "pages" / "gun_jax" / "sampling.html").read_text() == "a page"


def test_programs_and_the_benchmark_have_no_pages(reference):
    modules = reference.public_modules()
    assert {"gun_jax", "gun_jax.configuration", "gun_jax.data.synthetic", "gun_jax.training.loop"} <= set(modules)
    assert not [name for name in modules if name.startswith(("gun_jax.programs", "benchmarks"))]
