"""Folders of images and labels as users have them, drawn small."""

import numpy as np
from PIL import Image

SIZE = (12, 16)  # height, width


def save(path, pixels, palette=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = Image.fromarray(np.asarray(pixels).astype(np.uint8))
    if palette is not None:
        drawn.putpalette(np.ravel(palette).tolist())
    drawn.save(path)


def photo(path, seed=0, size=SIZE):
    save(path, np.random.default_rng(seed).integers(0, 256, (*size, 3)))


def fill(root, names, images="images/{}.jpg", labels="labels/{}.png", values=(7, 26), size=SIZE):
    """Images, and labels of numbers, by the names of files with {} for the image's."""
    for seed, name in enumerate(names):
        photo(root / images.format(name), seed, size)
        save(root / labels.format(name), np.random.default_rng(seed).choice(values, size))
