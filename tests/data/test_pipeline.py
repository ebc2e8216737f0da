"""Batches against what may not change them: threads, workers, processes and a stop in between; and against loops."""

import itertools
import types

import numpy as np
import pytest
from absl import flags

from gun_jax.data import appearance
from gun_jax.data.augment import RandomCrop, RandomFlip, RandomScale
from gun_jax.data.classes import CAMVID
from gun_jax.data.pipeline import augmentations, training_batches
from gun_jax.errors import InputError


class Numbered:
    """Records that say their number in the first pixel of image and label; `bad` cannot be read."""

    classes = CAMVID

    def __init__(self, length, size=(8, 12), bad=None, sizes=None):
        self.length, self.size, self.bad, self.sizes = length, size, bad, sizes

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if index == self.bad:
            raise InputError(f"label /data/{index:06}.png holds 12 at row 3, column 4; expected one of 0 to 11")
        size = self.size if self.sizes is None else self.sizes[index % len(self.sizes)]
        label = np.full(size, index, np.uint8)
        label[1:] = np.random.default_rng(index).integers(0, 11, (size[0] - 1, size[1]))
        return {"image": np.stack([label] * 3, -1), "label": label, "id": str(index)}


def settings(**changes):
    """The `data` section of a configuration, as far as the pipeline looks at it; without augmentation."""
    plain = {
        "random_scale": (),
        "random_scale_distribution": "log_uniform",
        "crop": (),
        "flip": False,
        "color_jitter": 0.0,
        "lighting_jitter": 0.0,
        "gamma_jitter": 0.0,
        "blur": 0.0,
        "noise": 0.0,
        "grey": 0.0,
        "jpeg_quality": 0,
        "rare_crops": 0.0,
    }
    return types.SimpleNamespace(
        **plain | {"workers": 0, "threads": 4, "prefetch": 8, "on_bad_record": "stop"} | changes
    )


AUGMENTED = {"random_scale": (0.5, 2.0), "crop": (6, 6), "flip": True, "gamma_jitter": 0.3, "blur": 1.0, "noise": 5.0,
             "grey": 0.2, "jpeg_quality": 40, "rare_crops": 0.5}  # fmt: skip


def batches(count, source=None, batch_size=4, seed=0, start=0, process=(0, 1), **changes):
    source = source if source is not None else Numbered(10)
    iterator = training_batches(source, settings(**changes), batch_size, seed, start, process)
    return list(itertools.islice(iterator, count))


def numbers(batches):
    """The numbers of the records of plain batches: int (records,)."""
    return np.concatenate([batch["label"][:, 0, 0] for batch in batches]).tolist()


def assert_same(ours, expected):
    assert len(ours) == len(expected)
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_array_equal(one["image"], other["image"])
        np.testing.assert_array_equal(one["label"], other["label"])


@pytest.fixture
def workers():
    """Grain's worker processes want the flags of the program parsed, as the programs do."""
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()


# What a batch is


def test_a_batch_is_a_stack_of_whole_records():
    source = Numbered(10)
    for batch in batches(3, source):
        assert set(batch) == {"image", "label", "id", "skipped"} and batch["skipped"] == []
        for image, label, name in zip(batch["image"], batch["label"], batch["id"], strict=True):
            record = source[label[0, 0]]
            assert name == record["id"]
            np.testing.assert_array_equal(image, record["image"])
            np.testing.assert_array_equal(label, record["label"])


def test_a_batch_has_the_asked_number_of_records_in_the_size_of_the_crop():
    (batch,) = batches(1, batch_size=5, **AUGMENTED)
    assert batch["image"].shape == (5, 6, 6, 3) and batch["image"].dtype == np.uint8
    assert batch["label"].shape == (5, 6, 6) and batch["label"].dtype == np.uint8


def test_image_and_label_stay_aligned_through_all_augmentations_but_scale():
    for batch in batches(8, crop=(6, 6), flip=True):
        np.testing.assert_array_equal(batch["image"], np.stack([batch["label"]] * 3, -1))


def test_the_augmentations_are_those_of_the_settings_in_the_order_scale_crop_flip_colours():
    source = Numbered(10)
    place = [RandomScale(0.5, 2.0), RandomCrop((6, 6), 0.5), RandomFlip()]
    assert augmentations(settings(**AUGMENTED), source) == [
        *place, appearance.GammaJitter(0.3), appearance.Grey(0.2), appearance.Blur(1.0), appearance.Noise(5.0),
        appearance.JpegArtefacts(40)
    ]  # fmt: skip
    assert augmentations(settings(crop=(3, 5)), source) == [RandomCrop((3, 5))]
    assert augmentations(settings(), source) == []
    assert augmentations(settings(color_jitter=0.4, flip=True), source) == [RandomFlip(), appearance.ColorJitter(0.4)]
    (jitter,) = augmentations(settings(lighting_jitter=0.1), source)
    assert jitter == appearance.LightingJitter(0.1, appearance.color_covariance(source).tolist())


def test_without_a_crop_random_scale_leaves_the_size_of_the_images():
    source = Numbered(10, size=(8, 12))
    assert {batch["label"].shape for batch in batches(6, source, random_scale=(0.5, 2.0))} == {(4, 8, 12)}


# Order


@pytest.mark.parametrize("batch_size", [1, 4, 10, 12])
def test_each_record_comes_once_an_epoch(batch_size):
    seen = numbers(batches(60 // batch_size, batch_size=batch_size))
    for epoch in range(6):
        assert sorted(seen[10 * epoch : 10 * epoch + 10]) == list(range(10))


def test_each_epoch_has_an_order_of_its_own():
    seen = numbers(batches(30, batch_size=2))
    orders = {tuple(seen[10 * epoch : 10 * epoch + 10]) for epoch in range(6)}
    assert len(orders) == 6 and tuple(range(10)) not in orders


def test_batches_never_end_even_of_one_record():
    assert numbers(batches(50, Numbered(1), batch_size=3)) == [0] * 150


def test_a_record_is_augmented_anew_each_epoch():
    epochs = batches(20, Numbered(2, (40, 40)), batch_size=2, crop=(6, 6))
    assert len({batch["label"].tobytes() for batch in epochs}) == 20


def test_records_of_one_batch_are_augmented_apart():
    source = Numbered(1, (40, 40))
    (batch,) = batches(1, source, batch_size=16, crop=(6, 6))
    assert len({label.tobytes() for label in batch["label"]}) > 12


# What decides


def test_the_same_seed_gives_the_same_batches():
    assert_same(batches(8, seed=3, **AUGMENTED), batches(8, seed=3, **AUGMENTED))


def test_another_seed_gives_another_order():
    assert numbers(batches(5, seed=3)) != numbers(batches(5, seed=4))


def test_another_seed_gives_other_augmentations():
    (one,), (other,) = (batches(1, Numbered(1, (40, 40)), seed=seed, crop=(6, 6)) for seed in (3, 4))
    assert one["label"].tobytes() != other["label"].tobytes()


@pytest.mark.parametrize("start", [1, 2, 3, 7, 11])
def test_starting_at_a_batch_continues_exactly_there(start):
    assert_same(batches(5, start=start, **AUGMENTED), batches(start + 5, **AUGMENTED)[start:])


def test_starting_far_away_reads_none_of_the_records_before():
    class Counting(Numbered):
        reads = 0

        def __getitem__(self, index):
            self.reads += 1
            return super().__getitem__(index)

    source = Counting(10)
    batches(1, source, start=100_000)
    assert 4 <= source.reads < 200  # what is prefetched, not 400 000


@pytest.mark.parametrize(("threads", "prefetch"), [(1, 1), (1, 8), (8, 8), (3, 50)])
def test_threads_and_prefetching_change_nothing(threads, prefetch):
    expected = batches(8, **AUGMENTED)
    assert_same(batches(8, threads=threads, prefetch=prefetch, **AUGMENTED), expected)


@pytest.mark.parametrize(("number", "start"), [(1, 0), (1, 3), (2, 5)])
def test_worker_processes_change_nothing(number, start, workers):
    expected = batches(6, start=start, **AUGMENTED)
    assert_same(batches(6, start=start, workers=number, **AUGMENTED), expected)


@pytest.mark.parametrize(("count", "start"), [(2, 0), (4, 0), (2, 3)])
def test_processes_together_see_the_global_batch_of_one(count, start):
    whole = batches(6, batch_size=8, start=start, **AUGMENTED)
    parts = [batches(6, batch_size=8, start=start, process=(i, count), **AUGMENTED) for i in range(count)]
    for step, batch in enumerate(whole):
        assert all(len(part[step]["label"]) == 8 // count for part in parts)
        for key in ("image", "label"):
            together = np.stack([part[step][key] for part in parts], 1)  # record r of process p is record r * count + p
            np.testing.assert_array_equal(together.reshape(batch[key].shape), batch[key])


def test_processes_see_different_records():
    first, second = (batches(5, batch_size=2, process=(i, 2)) for i in (0, 1))
    assert sorted(numbers(first) + numbers(second)) == list(range(10))


def test_worker_processes_of_two_processes_change_nothing(workers):
    expected = batches(4, process=(1, 2), **AUGMENTED)
    assert_same(batches(4, process=(1, 2), workers=1, **AUGMENTED), expected)


# What is refused


@pytest.mark.parametrize("number", [0, 1])
def test_a_bad_record_stops_with_the_source_s_own_line(number, workers):
    with pytest.raises(InputError) as error:
        batches(5, Numbered(10, bad=7), workers=number)
    assert str(error.value) == "label /data/000007.png holds 12 at row 3, column 4; expected one of 0 to 11"


@pytest.mark.parametrize("number", [0, 1])
def test_sizes_that_differ_are_named_with_the_remedy(number, workers):
    source = Numbered(10, sizes=[(8, 12), (9, 12)])
    with pytest.raises(InputError, match=r"\(8, 12\), \(9, 12\).*set config\.data\.crop") as error:
        batches(5, source, workers=number)
    assert "\n" not in str(error.value)


def test_sizes_that_differ_are_made_equal_by_a_crop():
    source = Numbered(10, sizes=[(8, 12), (9, 12), (5, 30)])
    assert {batch["label"].shape for batch in batches(6, source, crop=(7, 10))} == {(4, 7, 10)}


@pytest.mark.parametrize("scale", [(), (0.5, 2.0)])
def test_a_crop_higher_and_wider_than_any_image_at_its_largest_is_refused(scale):
    source = Numbered(10, sizes=[(8, 12), (9, 12), (5, 30)])
    factor = scale[1] if scale else 1
    height, width = int(9 * factor), int(30 * factor)
    with pytest.raises(InputError, match=rf"^config.data.crop is \({height + 1}, {width + 1}\); expected .*$"):
        batches(1, source, crop=(height + 1, width + 1), random_scale=scale)
    for crop in ((height, width + 1), (height + 1, width)):
        assert batches(1, source, crop=crop, random_scale=scale)[0]["label"].shape == (4, *crop)


@pytest.mark.parametrize(("batch_size", "count"), [(5, 2), (0, 1), (-4, 2), (1, 2)])
def test_a_batch_that_cannot_be_shared_is_named(batch_size, count):
    with pytest.raises(InputError, match=f"batch_size is {batch_size}; expected a multiple of the {count} processes"):
        batches(1, batch_size=batch_size, process=(0, count))
