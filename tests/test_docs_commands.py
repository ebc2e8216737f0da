"""Commands in README, docs and docstrings: our programs accept their flags, and the Makefile has their targets."""

import ast
import functools
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib

import pytest
from reference_docs import PAGES, ROOT, WrongPageError, blocks_of, code_in_lines, read

# Pages whose commands another test runs; they are not checked here.
FOLLOWED = {"docs/own_data.md": "tests/own_data/test_own_data.py"}
# Files with commands in their docstrings.
USED = [
    str(path.relative_to(ROOT))
    for pattern in ("*.py", "configs/*.py", "gun_jax/programs/*.py", "benchmarks/*.py", "docs/*.py")
    for path in sorted(ROOT.glob(pattern))
]
PYTHONS = {"python", "python3", ".venv/bin/python"}
WRAPPERS = {"srun"}  # run the command that follows
# Commands of other projects. Their arguments are not checked, so keep them few.
OTHERS = {"export", "pip", ".venv/bin/pip"}
PROJECT = tomllib.loads(read("pyproject.toml"))["project"]
# Wrong commands, and a part of the message.
WRONG_LINES = {
    "train.py --config=configs/synthetic.py --wrokdir=runs/demo": "wrokdir",
    "train.py --config=configs/synthetics.py": "does not exist",
    "train.py --config=configs/synthetic.py --config.batch_sise=8": "is not a setting",
    "train.py --config=configs/synthetic.py --config.batch_size=many": "batch_size",
    "train.py --config=configs/synthetic.py runs/demo": "no flags",
    "train.py --config=configs/paper.py:table4=high_rse": "high_rse",
    "evaluate.py --panels=many": "panels",
    "gun-export --format=onyx": "format",
    "benchmarks/operations.py --rounds=3": "rounds",
}


def commands(text):
    """The commands in shell lines, as lists of words."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = []
        for word in [*lexer, ";"]:
            if not re.fullmatch(r"[();<>|&]+", word):
                words.append(word)
            elif words:
                yield words
                words = []


def usages(path):
    """The commands in the docstring of a Python file: with all options, and one command for each of several choices."""
    docstring = ast.get_docstring(ast.parse(read(path))) or ""
    for line in re.findall(r"^ {4}((?:python|make) .*)", docstring, flags=re.MULTILINE):
        line = re.sub(r"\[(-[^]]*)\]", r"\1", line)
        choices = re.search(r"=(\S+\|\S+)", line)
        yield from (line.replace(choices[1], one) for one in choices[1].split("|")) if choices else [line]


def is_a_command(code):
    """Whether code in a sentence is a command of ours: "make demo", "evaluate.py --trimap"."""
    first, *rest = code.split()
    return first in {*PYTHONS, "make", *PROJECT["scripts"]} or bool(rest and is_a_program(first))


def is_a_program(name):
    return name.endswith(".py") and (ROOT / name).is_file()


@functools.cache
def command_lines():
    """(place, words) of every command in the documents and the docstrings."""
    lines = [(block.place, block.text) for block in blocks_of("shell") if block.page not in FOLLOWED]
    lines += [
        (page, code) for page in PAGES if page not in FOLLOWED for code in code_in_lines(page) if is_a_command(code)
    ]
    lines += [(path, usage) for path in USED for usage in usages(path)]
    listed = [(block.place, json.loads(block.text.partition(":")[2])) for block in blocks_of("list of words")]
    return [(place, words) for place, text in lines for words in commands(text)] + listed


def kind_of(words):
    """("program", [name, arguments...]), ("make", arguments), ("other", words) or ("unknown", words) of a command."""
    while words and (re.match(r"[A-Z_]+=", words[0]) or words[0] in WRAPPERS):
        words = words[1:]
    first, *rest = words
    if first in PYTHONS and rest and is_a_program(rest[0]):
        return "program", rest
    if is_a_program(first):
        return "program", words
    if first.removeprefix(".venv/bin/") in PROJECT["scripts"]:
        return "program", [first.removeprefix(".venv/bin/"), *rest]
    if first == "make":
        return "make", rest
    if first in OTHERS or (first in PYTHONS and rest[:2] == ["-m", "pip"]):
        return "other", words
    return "unknown", words


def test_every_command_is_known():
    assert [line for line in command_lines() if kind_of(line[1])[0] == "unknown"] == []
    assert {kind_of(words)[0] for _, words in command_lines()} == {"program", "make", "other"}


@pytest.mark.parametrize("line", ["tarin --fast", "python tarin.py", "CUDA_VISIBLE_DEVICES=0 srun gun-tarin"])
def test_an_unknown_command_is_found(line):
    assert [kind_of(words)[0] for words in commands(line)] == ["unknown"]


def test_lines_are_split_into_commands():
    text = "# a comment\npython a.py --x=1 \\\n  --y='2 3' && make b  # so\nexport C=1; srun d --e &\n"
    expected = [["python", "a.py", "--x=1", "--y=2 3"], ["make", "b"], ["export", "C=1"], ["srun", "d", "--e"]]
    assert list(commands(text)) == expected


# Programs


@pytest.fixture(scope="module")
def complaints():
    """The errors of the programs for the commands of the documents, and for wrong ones."""
    programs = [arguments for kind, arguments in (kind_of(words) for _, words in command_lines()) if kind == "program"]
    lines = sorted({" ".join(words) for words in programs} | set(WRONG_LINES))
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "reference_command_lines.py"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=json.dumps([line.split() for line in lines]),
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(lines, json.loads(done.stdout), strict=True))


def test_every_command_has_flags_that_its_program_accepts(complaints):
    assert len(complaints) > 40
    # In text, `evaluate.py --exported` names a flag: the complaint about its missing value shows that it exists.
    mentioned = {code for page in PAGES for code in code_in_lines(page)}
    excused = {line for line in mentioned if "Missing value for flag" in complaints.get(line, "")}
    assert {line: said for line, said in complaints.items() if said and line not in {*WRONG_LINES, *excused}} == {}


@pytest.mark.parametrize("line", WRONG_LINES)
def test_a_command_that_a_program_refuses_is_found(complaints, line):
    assert WRONG_LINES[line] in complaints[line]


def test_files_in_commands_and_text_exist():
    named = [(place, " ".join(words)) for place, words in command_lines()]
    named += [(page, code) for page in PAGES for code in code_in_lines(page)]
    pattern = re.compile(r"(?<![\w/.])(?:configs|docs|tests|gun_jax|onednn)/[\w/.]*\w")
    files = {(place, name) for place, code in named for name in pattern.findall(code)}
    assert len(files) > 30
    assert [pair for pair in files if not (ROOT / pair[1]).exists()] == []


def test_pages_that_are_run_elsewhere_are_named_there():
    for page in FOLLOWED.keys() & PAGES:
        assert os.path.basename(page) in read(FOLLOWED[page])


# make


def check_make(arguments):
    """Refuses unknown targets and variables of the Makefile, and unknown extras of the project."""
    for argument in arguments:
        name, given, value = argument.partition("=")
        if given and not re.search(rf"^{name} *[?:]?=", read("Makefile"), flags=re.MULTILINE):
            raise WrongPageError(f"make {argument}: the Makefile has no variable {name}")
        if name == "EXTRAS" and (unknown := set(value.split(",")) - set(PROJECT["optional-dependencies"])):
            raise WrongPageError(f"make {argument}: the project has no extra {', '.join(unknown)}")
        if not given and name != "-B" and not re.search(rf"^{name}:", read("Makefile"), flags=re.MULTILINE):
            raise WrongPageError(f"make {argument}: the Makefile has no such target")


def test_make_has_the_targets_variables_and_extras():
    lines = [arguments for kind, arguments in (kind_of(words) for _, words in command_lines()) if kind == "make"]
    assert len(lines) > 10
    for arguments in lines:
        check_make(arguments)


@pytest.mark.parametrize("line", ["demo tset", "install EXTRAS=test,exprot", "EXTRA=test install"])
def test_a_wrong_line_of_make_is_found(line):
    with pytest.raises(WrongPageError, match=r"no such target|no extra|no variable"):
        check_make(line.split())
