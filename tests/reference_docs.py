"""Pages of Markdown for the tests of the documents: their blocks, other code, headings and links."""

import collections
import dataclasses
import functools
import itertools
import pathlib
import re

import gun_jax

ROOT = pathlib.Path(gun_jax.__file__).parents[1]
PAGES = [str(path.relative_to(ROOT)) for path in [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]]
KINDS = {"python": "python", "json": "json", "": "shell", "sh": "shell", "bash": "shell"}  # by language
# The kinds of other blocks, by page and first word.
LISTINGS = {
    ("docs/train.md", "mydata/train/images/a.jpg"): "folder",
    ("docs/code.md", "gun_jax/version.py"): "files",
    ("docs/code.md", "train.py"): "files",
    ("docs/clusters.md", "command:"): "list of words",
}


class WrongPageError(Exception):
    """A page is wrong."""


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block that opens on `line`, counted from 1."""

    page: str
    line: int
    language: str
    text: str

    @property
    def place(self):
        return f"{self.page}:{self.line}"

    @property
    def kind(self):
        """Which kind of test runs or checks it; None if no test does."""
        return LISTINGS.get((self.page, self.text.split()[0])) or KINDS.get(self.language)


def read(page):
    return (ROOT / page).read_text()


def blocks(page, text=None):
    """The fenced blocks of a page, or of `text` as if it were the page."""
    found, fence, inside, start, indent, language = [], None, [], 0, 0, ""
    for number, line in enumerate((read(page) if text is None else text).splitlines(), 1):
        opened = re.match(r"( *)(`{3,}|~{3,})\s*(\S*)", line)
        if fence is None and opened:
            indent, fence, language, inside, start = len(opened[1]), opened[2], opened[3], [], number
        elif fence is not None and line.strip() == fence:
            found.append(Block(page, start, language, "\n".join(inside) + "\n"))
            fence = None
        elif fence is not None:
            inside.append(line[min(indent, len(line) - len(line.lstrip())) :])
    if fence is not None:
        raise WrongPageError(f"{page}:{start}: the block does not end")
    return found


@functools.cache
def all_blocks():
    return list(itertools.chain.from_iterable(map(blocks, PAGES)))


def blocks_of(kind, page=None):
    return [block for block in all_blocks() if block.kind == kind and page in (None, block.page)]


def prose(page, text=None):
    """A page without its blocks."""
    text = read(page) if text is None else text
    return re.sub(r"^ *(`{3,}|~{3,}).*?^ *\1 *$", "", text, flags=re.MULTILINE | re.DOTALL)


def code_in_lines(page):
    """The code between single backticks."""
    return [" ".join(code.split()) for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose(page))]


def anchors(page, text=None):
    """The anchors of the headings of a page, as GitHub writes them."""
    seen = collections.Counter()
    for heading in re.findall(r"^#{1,6} +(.+?) *#* *$", prose(page, text), flags=re.MULTILINE):
        heading = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        yield anchor + (f"-{seen[anchor]}" if seen[anchor] else "")
        seen[anchor] += 1


def links(page, text=None):
    without_code = re.sub(r"(?<!`)`[^`]+`(?!`)", "code", prose(page, text))
    return re.findall(r"\]\(\s*([^)\s]+)[^)]*\)", without_code)


def check_links(page, text=None):
    """Refuses a link to a file or a heading that does not exist."""
    for target in links(page, text):
        if re.match(r"(https?|mailto):", target):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / page).parent / file if file else ROOT / page
        if not path.exists():
            raise WrongPageError(f"{page}: ({target}) leads to no file")
        inside, inside_text = (str(path.resolve().relative_to(ROOT)), None) if file else (page, text)
        if anchor and anchor not in anchors(inside, inside_text):
            raise WrongPageError(f"{page}: ({target}) leads to no heading")
