"""Drawn street scenes in the format of Cityscapes: folders, file names, label ids, instance numbers, zip files."""

import pathlib
import zipfile

import cv2
import numpy as np
import pytest
from cityscapesscripts.helpers.labels import trainId2label

from gun_jax.data.synthetic import SyntheticScenes

SIZE = (1024, 2048)


def write_cityscapes(root, counts, size=SIZE):
    """Writes `counts` images of each split below leftImg8bit/ and gtFine/; those of test have dummy labels."""
    to_label_id = np.array(
        [trainId2label[i].id for i in range(19)] + [0] * 237, np.uint8
    )  # 255 and the rest: unlabeled
    for seed, (split, count) in enumerate(counts.items()):
        scenes = SyntheticScenes(count, (128, 256), seed=seed)
        for index in range(count):
            city = ("ulm", "bochum")[index % 2]
            name = f"{city}_{index:06}_000019"
            image = cv2.resize(scenes[index]["image"], size[::-1], interpolation=cv2.INTER_LINEAR)
            train_ids = cv2.resize(scenes[index]["label"], size[::-1], interpolation=cv2.INTER_NEAREST)
            label_ids = to_label_id[train_ids] if split != "test" else np.zeros(size, np.uint8)
            write(root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png", image[..., ::-1])
            write(root / "gtFine" / split / city / f"{name}_gtFine_labelIds.png", label_ids)
            write(root / "gtFine" / split / city / f"{name}_gtFine_instanceIds.png", instances_of(label_ids))


def instances_of(label_ids):
    """Each connected region of a class with instances is one; every fifth is a group, without a number of its own."""
    numbers = label_ids.astype(np.uint16)
    for label_id in (24, 25, 26, 27, 28, 29, 31, 32, 33):
        count, regions = cv2.connectedComponents((label_ids == label_id).astype(np.uint8))
        for region in range(1, count):
            if region % 5:
                numbers[regions == region] = label_id * 1000 + region - 1
    return numbers


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def zip_cityscapes(root, target):
    """The two archives, as the download page has them, of folders that `write_cityscapes` wrote."""
    target.mkdir(parents=True, exist_ok=True)
    for part, name in (("leftImg8bit", "leftImg8bit_trainvaltest.zip"), ("gtFine", "gtFine_trainvaltest.zip")):
        with zipfile.ZipFile(target / name, "w") as archive:
            for path in sorted(pathlib.Path(root, part).rglob("*")):
                archive.write(path, path.relative_to(root))


OFFICIAL_NAMES = {  # by ours: of the scores by name, and of their mean
    "iou": ("classScores", "miou", "averageScoreClasses"),
    "iiou": ("classInstScores", "miiou", "averageScoreInstClasses"),
    "category_iou": ("categoryScores", "category_miou", "averageScoreCategories"),
    "category_iiou": ("categoryInstScores", "category_miiou", "averageScoreInstCategories"),
}


def assert_official(ours, theirs):
    """All scores of a report are the official ones; None is NaN. Official lists have ignored labels and void too."""
    for by_name, (official_name, mean, official_mean) in OFFICIAL_NAMES.items():
        official = theirs[official_name]
        for name, value in ours[by_name].items():
            assert (value is None) == np.isnan(official[name]), name
            if value is not None:
                assert value == pytest.approx(official[name], rel=1e-12), name
        assert all(np.isnan(value) for name, value in official.items() if name not in ours[by_name])
        assert ours[mean] == pytest.approx(theirs[official_mean], rel=1e-12), mean
