"""What becomes of records that cannot be used."""

from gun_jax.data.sources import Source
from gun_jax.errors import InputError


class SkippingSource:
    """A source in which the next record that can be used stands in for one that cannot.

    A record has "skipped" then: what was wrong with each that was left out for it, a line each. Which record stands in
    depends on the files alone: while they stay as they are, a run that goes on sees what it would have seen.
    """

    def __init__(self, source: Source):
        self._source = source
        self.classes, self.identity = source.classes, source.identity

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> dict:
        """Record `index`, or the next.

        Raises:
          InputError: no record of the source can be used.
        """
        skipped: list[str] = []
        for further in range(len(self)):
            try:
                return self._source[(index + further) % len(self)] | {"skipped": skipped}
            except InputError as error:
                skipped.append(str(error))
        raise InputError(f"no record of {self._source} can be used; the first: {skipped[0]}")

    def __repr__(self) -> str:
        return f"SkippingSource({self._source!r})"
