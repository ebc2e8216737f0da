"""Skipping records that cannot be used."""

from gun_jax.data.sources import Source
from gun_jax.errors import InputError


class SkippingSource:
    """A source that replaces a bad record by the next good one.

    Each record has "skipped", the error messages of the records that it replaces. The replacement depends only on the
    files, so a resumed run sees the same records as long as the files do not change.
    """

    def __init__(self, source: Source):
        self._source = source
        self.classes, self.identity = source.classes, source.identity

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> dict:
        """Record `index`, or the next good one.

        Raises:
          InputError: no record of the source can be used.
        """
        skipped: list[str] = []
        for step in range(len(self)):
            try:
                return self._source[(index + step) % len(self)] | {"skipped": skipped}
            except InputError as error:
                skipped.append(str(error))
        raise InputError(f"no record of {self._source} can be used; the first error: {skipped[0]}")

    def __repr__(self) -> str:
        return f"SkippingSource({self._source!r})"
