"""Sources with records that cannot be used."""

import pytest

from gun_jax.data.classes import CITYSCAPES
from gun_jax.data.skip_bad import SkippingSource
from gun_jax.errors import InputError

pytestmark = pytest.mark.fault("bad records, skipped")


class Numbers:
    """Ten records, of which some are bad."""

    classes, identity = CITYSCAPES, "ten"

    def __init__(self, *bad):
        self.bad = bad

    def __len__(self):
        return 10

    def __getitem__(self, index):
        if index in self.bad:
            raise InputError(f"{index} is bad")
        return {"id": str(index)}


def test_good_records_are_those_of_the_source():
    source = SkippingSource(Numbers(3))
    assert len(source) == 10 and source.identity == "ten" and source.classes is CITYSCAPES
    assert source[4] == {"id": "4", "skipped": []}


@pytest.mark.parametrize(("index", "stands_in", "skipped"), [(3, 4, [3]), (8, 0, [8, 9]), (9, 0, [9])])
def test_the_next_good_record_stands_in_for_a_bad_one_and_says_so(index, stands_in, skipped):
    record = SkippingSource(Numbers(3, 8, 9))[index]
    assert record == {"id": str(stands_in), "skipped": [f"{one} is bad" for one in skipped]}


def test_a_source_without_a_good_record_is_refused():
    with pytest.raises(InputError, match=r"^no record of .* can be used; the first error: 7 is bad$"):
        SkippingSource(Numbers(*range(10)))[7]


def test_defects_are_not_skipped():
    class Broken(Numbers):
        def __getitem__(self, index):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        SkippingSource(Broken())[0]
