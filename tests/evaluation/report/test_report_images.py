"""The layers of an image, decoded and compared with arrays."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from gun_jax.data.classes import CAMVID
from gun_jax.evaluation.report import images
from gun_jax.visualisation import offset_colors

SIZE = (24, 40)


def record(seed=0, size=SIZE):
    rng = np.random.default_rng(seed)
    image = np.repeat(np.repeat(rng.integers(0, 256, (3, 5, 3), np.uint8), size[0] // 3, 0), size[1] // 5, 1)
    label = rng.choice([0, 3, 7, 255], size).astype(np.uint8)
    return {"image": image, "label": label, "id": "berlin/<a>"}


def network_output(seed=1, size=SIZE):
    rng = np.random.default_rng(seed)
    return {
        "labels": rng.choice([0, 3, 8], size).astype(np.int32),
        "bilinear_labels": rng.choice([0, 3, 8], size).astype(np.int32),
        "offsets": np.repeat(rng.normal(0, 1, (*size[:1], 1, 2)), size[1], 1).astype(np.float32),
    }


def decoded(uri, kind):
    start = f"data:image/{kind};base64,"
    assert uri.startswith(start)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri[len(start) :]))).convert("RGB"))


@pytest.fixture(scope="module")
def guided():
    layers = images.image_layers(record(), network_output(), CAMVID, guided=True, max_pixels=10_000)
    (image,) = images.encode([layers])
    return image


def test_truth_and_prediction_are_in_the_colours_of_the_classes_exactly(guided):
    for name, labels in (("truth", record()["label"]), ("prediction", network_output()["labels"])):
        colors = decoded(guided.uris[name], "png")
        for y, x in np.ndindex(SIZE):
            assert tuple(colors[y, x]) == (CAMVID.colors[labels[y, x]] if labels[y, x] != 255 else (0, 0, 0))


def test_image_and_offsets_are_nearly_themselves(guided):
    offsets, largest = offset_colors(network_output()["offsets"])
    for name, expected in (("image", record()["image"]), ("offsets", offsets)):
        difference = np.abs(decoded(guided.uris[name], "jpeg").astype(int) - expected)
        assert difference.mean() < 6, name
    assert guided.layers.full_color == largest


def test_errors_are_counted_against_those_of_bilinear_upsampling(guided):
    truth, labels, bilinear = record()["label"], network_output()["labels"], network_output()["bilinear_labels"]
    counts = dict.fromkeys(("both right", "fixed by GUM", "new error", "both wrong"), 0)
    for t, ours, theirs in zip(truth.ravel(), labels.ravel(), bilinear.ravel(), strict=True):
        if t != 255:
            names = ("both right", "fixed by GUM") if ours == t else ("new error", "both wrong")
            counts[names[int(theirs != t)]] += 1
    assert guided.layers.shares == pytest.approx({name: n / sum(counts.values()) for name, n in counts.items()})


def test_the_legend_has_what_occurs_with_its_iou_the_largest_first_and_the_ignored_last(guided, iou_by_loops):
    truth, labels = record()["label"], network_output()["labels"]
    iou, mean, _ = iou_by_loops([truth], [labels], len(CAMVID))
    pixels = [*truth.ravel().tolist(), *labels.ravel().tolist()]
    expected = sorted([0, 3, 7, 8], key=pixels.count, reverse=True)
    assert guided.layers.miou == pytest.approx(mean)
    assert [name for name, _, _ in guided.layers.legend] == [*(CAMVID.names[i] for i in expected), "ignored"]
    assert [value for _, _, value in guided.layers.legend] == pytest.approx([*(iou[i] for i in expected), None])
    assert ("road", "#804080", iou[3]) in guided.layers.legend


def test_without_guidance_there_are_no_offsets_and_errors_are_right_or_wrong():
    layers = images.image_layers(record(), network_output(), CAMVID, guided=False, max_pixels=10_000)
    (image,) = images.encode([layers])
    assert sorted(image.uris) == ["errors", "image", "prediction", "truth"] and layers.full_color is None
    counted = record()["label"] != 255
    right = (record()["label"] == network_output()["labels"])[counted].mean()
    assert layers.shares == pytest.approx({"right": right, "wrong": 1 - right})
    colors = decoded(image.uris["errors"], "png")
    red = (colors == images.PALETTE_OF_ERRORS["wrong"]).all(-1)
    np.testing.assert_array_equal(red, counted & (record()["label"] != network_output()["labels"]))


def test_an_image_that_fits_keeps_its_size(guided):
    assert guided.shown == guided.layers.size == SIZE and not guided.shrunk


@pytest.mark.parametrize("size", [(240, 400), (400, 240)])
def test_a_large_image_is_shrunk_in_its_shape_and_says_so(size):
    big = {"image": np.zeros((*size, 3), np.uint8), "label": np.zeros(size, np.uint8), "id": "a"}
    layers = images.image_layers(big, network_output(size=size), CAMVID, guided=True, max_pixels=1500)
    (image,) = images.encode([layers])
    height, width = image.shown
    assert image.shrunk and 0.8 * 1500 < height * width <= 1500
    assert width / height == pytest.approx(size[1] / size[0], rel=0.05)
    assert {decoded(image.uris[name], "png").shape[:2] for name in ("truth", "errors")} == {(height, width)}


def test_images_that_are_too_many_bytes_are_made_smaller_until_they_fit():
    noisy = []
    for seed in range(3):
        noise = record(seed) | {"image": np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), np.uint8)}
        noisy.append(images.image_layers(noise, network_output(), CAMVID, guided=True, max_pixels=10_000))

    def size_of(encoded):
        return sum(len(base64.b64decode(uri.partition(",")[2])) for one in encoded for uri in one.uris.values())

    whole = size_of(images.encode(noisy))
    encoded = images.encode(noisy, max_bytes=whole * 2 // 3)
    assert size_of(encoded) <= whole * 2 // 3 and all(one.shrunk for one in encoded)
    assert len({one.shown for one in encoded}) == 1


def test_the_more_images_the_fewer_pixels_each():
    assert images.pixels_each(8) == pytest.approx(4 * images.pixels_each(32), abs=8)
    assert images.pixels_each(0) == images.pixels_each(1)


def test_an_image_of_which_no_pixel_counts_has_no_shares_but_is_drawn():
    nothing = record() | {"label": np.full(SIZE, 255, np.uint8)}
    layers = images.image_layers(nothing, network_output(), CAMVID, guided=True, max_pixels=10_000)
    assert set(layers.shares.values()) == {0}
    assert sorted(name for name, _, _ in layers.legend) == ["car", "ignored", "road", "sky"]
    assert layers.legend[-1][0] == "ignored"
