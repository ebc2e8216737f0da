"""Looking through a data set before it is trained on."""

import concurrent.futures
import functools
import os
from collections.abc import Callable, Iterable

import rich.console
import rich.progress
from ml_collections import ConfigDict

from gun_jax.data.folders import FolderSource
from gun_jax.data.sources import Source, load_source
from gun_jax.errors import InputError


def check_data(config: ConfigDict) -> None:
    """Reads all that a configuration trains and evaluates on, with a bar, and shows a line for each bad record.

    Raises:
      InputError: there are bad records, or data are missing.
    """
    console = rich.console.Console(highlight=False, markup=False, soft_wrap=True)
    bad = 0
    for split in dict.fromkeys((config.data.train_split, config.data.eval_split)):
        source = load_source(config.data, split)
        with rich.progress.Progress(console=console) as progress:
            bar = progress.add_task(split, total=len(source))
            wrong, notes = check_source(source, config.data.threads, functools.partial(progress.advance, bar))
        for line in [*wrong, *(f"note: {note}" for note in notes)]:
            console.print(line)
        console.print(f"{split}: {len(source) - len(wrong)} of {len(source)} records can be used")
        bad += len(wrong)
    if bad:
        raise InputError(
            f"{bad} records cannot be used; mend or remove their files (training alone can leave bad ones out: "
            "--config.data.on_bad_record=skip)"
        )


def check_source(source: Source, threads: int, advance: Callable[[], object]) -> tuple[list[str], list[str]]:
    """Reads every record.

    Args:
      source: the data set.
      threads: that read.
      advance: is called after each record.

    Returns:
      What is wrong, a line for each record that cannot be used; and what a user may not expect, links that lead out of
      the folders of a data set.
    """

    def check(index: int) -> str | None:
        try:
            source[index]
        except InputError as error:
            return str(error)
        return None

    wrong = []
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for found in pool.map(check, range(len(source))):
            advance()
            if found is not None:
                wrong.append(found)
    return wrong, list(_links_out(source)) if isinstance(source, FolderSource) else []


def _links_out(source: FolderSource) -> Iterable[str]:
    roots = [os.path.realpath(folder) for folder in (source.images, source.labels) if folder is not None]
    for index in range(len(source)):
        for root, path in zip(roots, source.paths(index), strict=True):
            real = os.path.realpath(path)
            if os.path.commonpath([root, real]) != root:
                yield f"{path} is a link out of its folder, to {real}"
