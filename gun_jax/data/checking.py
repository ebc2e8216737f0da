"""Checks every record of a data set before training."""

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
    """Reads the splits that a configuration trains and evaluates on, and prints a line for each bad record.

    Raises:
      InputError: there are bad records, or data are missing.
    """
    console = rich.console.Console(highlight=False, markup=False, soft_wrap=True)
    bad = 0
    for split in dict.fromkeys((config.data.train_split, config.data.eval_split)):
        source = load_source(config.data, split)
        with rich.progress.Progress(console=console) as progress:
            bar = progress.add_task(split, total=len(source))
            errors, notes = check_source(source, config.data.threads, functools.partial(progress.advance, bar))
        for line in [*errors, *(f"note: {note}" for note in notes)]:
            console.print(line)
        console.print(f"{split}: {len(source) - len(errors)} of {len(source)} records can be used")
        bad += len(errors)
    if bad:
        raise InputError(
            f"{bad} records cannot be used; repair or remove their files, or skip them while training with "
            "--config.data.on_bad_record=skip"
        )


def check_source(source: Source, threads: int, advance: Callable[[], object]) -> tuple[list[str], list[str]]:
    """Reads every record.

    Args:
      source: the data set.
      threads: number of reader threads.
      advance: called after each record.

    Returns:
      An error message for each record that cannot be used, and a note for each file that is a link out of the data
      set's folders.
    """

    def check(index: int) -> str | None:
        try:
            source[index]
        except InputError as error:
            return str(error)
        return None

    errors = []
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for found in pool.map(check, range(len(source))):
            advance()
            if found is not None:
                errors.append(found)
    return errors, list(_links_out(source)) if isinstance(source, FolderSource) else []


def _links_out(source: FolderSource) -> Iterable[str]:
    roots = [os.path.realpath(folder) for folder in (source.images, source.labels) if folder is not None]
    for index in range(len(source)):
        for root, path in zip(roots, source.paths(index), strict=True):
            real = os.path.realpath(path)
            if os.path.commonpath([root, real]) != root:
                yield f"{path} is a link out of its folder, to {real}"
