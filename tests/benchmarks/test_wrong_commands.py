"""benchmark.py refuses wrong commands in one line."""

import pytest
from reference_programs import ROOT, run_program

WRONG = {
    "--tables=3": "--tables has 3; expected some of 1, 2, 4",
    "--tables=1,x": "--tables has 'x'",
    "--size=512": "--size is '512'; expected HEIGHTxWIDTH",
    "--size=32x64": "--size is 32x64; expected 64 pixels or more",
    "--rounds=0": "--rounds is 0",
    "--markdown=docs": "--markdown is docs, which cannot be written",
    "--markdown=README.md": "--markdown is README.md, which holds something else",
    "--parts=labels": "--parts has no effect without --peers",
    "--peers --size=64x128": "--size has no effect with --peers",
    "--peers --dtype=float32": "--dtype has no effect with --peers",
    "--peers --compilation_cache=": "--compilation_cache has no effect with --peers",
    "--peers --against=.": "--against has no effect with --peers",
    "--peers --parts=limits,x": "part 'x'",
    "--peers --parts=limits --markdown=.": "--markdown is ., which cannot be written",
    "--peers --parts=limits --markdown=README.md": "--markdown is README.md, which holds something else",
    "--against=. --markdown=x.md": "--markdown has no effect with --against",
    "--against=. --parts=limits": "part 'limits'; expected one of labels, gum, training, training-large",
    "--against=docs": "expected a checkout of this project",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_a_wrong_command_is_refused_in_one_line(arguments):
    result = run_program("benchmark.py", *arguments.split(), cwd=ROOT)
    assert result.returncode == 2
    assert WRONG[arguments] in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1 and not result.stdout
