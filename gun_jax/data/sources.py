"""Data sets as random access: `source[i]` is `{"image": uint8 (H, W, 3), "label": uint8 (H, W), "id": str}`.

Labels are train ids of `source.classes`, or `IGNORE`. A source is pure and can be pickled, so every worker process has
its copy. `load_source` builds the source that a configuration names.
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Protocol

from ml_collections import ConfigDict

from gun_jax.data import tfds
from gun_jax.data.classes import CAMVID, CITYSCAPES, ClassMap, load_class_map
from gun_jax.data.folders import IMAGE_ENDINGS, FolderSource
from gun_jax.data.splits import CITYSCAPES_COUNTS, check_length, name_and_part, read_split_list
from gun_jax.data.synthetic import SyntheticScenes
from gun_jax.errors import InputError, one_of

DATA_DIR_VARIABLE = "GUN_DATA_DIR"


class Source(Protocol):
    """The interface of a data set."""

    classes: ClassMap
    identity: str  # differs if the records or their order differ

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> dict: ...


@dataclasses.dataclass(frozen=True)
class Layout:
    """Paths of a data set's files below its folder; `{split}` stands for the split's name."""

    images: str
    labels: str
    classes: ClassMap | None = None  # None: from the file that the configuration names
    image_ending: str | tuple[str, ...] = IMAGE_ENDINGS
    label_ending: str = ".png"
    instance_ending: str | None = None
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)  # published numbers of images
    title: str = ""
    remedy: str = ""
    split_list: str = ""  # file with the names of a split's images; "": all images in the folder


LAYOUTS = {
    "cityscapes": Layout(
        "leftImg8bit/{split}",
        "gtFine/{split}",
        CITYSCAPES,
        "_leftImg8bit.png",
        "_gtFine_labelIds.png",
        "_gtFine_instanceIds.png",
        CITYSCAPES_COUNTS,
        "Cityscapes",
        "download leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip from www.cityscapes-dataset.com and unpack "
        "both there (or install the `tfds` extra, which reads them packed)",
    ),
    "camvid": Layout(
        "{split}", "{split}annot", CAMVID, title="CamVid", remedy="put the SegNet split of CamVid (480x360) there"
    ),
    "folder": Layout("{split}/images", "{split}/labels", title="your data", remedy="put your images there"),
}
SOURCES = (*LAYOUTS, "synthetic")


def load_source(data: ConfigDict, split: str, labelled: bool = True, instances: bool = False) -> Source:
    """Builds the source that a configuration names.

    Args:
      data: the `data` section of a configuration (see `gun_jax.configuration`).
      split: "train", "val", or another split of the data set; "train@0006R0" for the part of `train` whose images'
        names start with 0006R0 (a drive, or a city), "train@-0006R0" for the rest of it.
      labelled: whether records have a "label".
      instances: whether records have "instances", int32 (H, W), if there are such files.

    Raises:
      InputError: no such source, or files are missing.
    """
    if data.source == "synthetic":
        lengths = {"train": data.synthetic_train, "val": data.synthetic_val}
        if split not in lengths:
            raise InputError(f"synthetic scenes have no split {split!r}; expected {' or '.join(lengths)}")
        # Seeds of different splits are different scenes, whatever their lengths.
        seed = 2 * data.synthetic_seed + list(lengths).index(split)
        return SyntheticScenes(lengths[split], tuple(data.synthetic_size), seed)
    layout = _layout(data)
    root = find_data_dir(data, split)
    split, part = name_and_part(split)
    assert root is not None  # only synthetic scenes need no folder
    images, labels = (root / _of_split(part, split) for part in (layout.images, layout.labels))
    source: Source
    if data.source == "cityscapes" and not images.is_dir():
        if part:
            raise InputError(f"split {split}@{part}: parts of a packed Cityscapes are not read; unpack it")
        source = tfds.CityscapesTFDS(root, split, data.partial)
    else:
        classes = layout.classes or load_class_map(root / data.classes)
        ending = layout.instance_ending if instances else None
        if ending and next(labels.rglob(f"*{ending}"), None) is None:
            ending = None
        chosen = read_split_list(root / _of_split(layout.split_list, split)) if layout.split_list else None
        source = FolderSource(
            images,
            labels if labelled else None,
            classes,
            layout.image_ending,
            layout.label_ending,
            ending,
            chosen,
            part,
        )
        if not data.partial and not part:
            check_length(len(source), split, layout.counts.get(split), f"{layout.title} in {root}", "unpack it again")
    return source


def find_data_dir(data: ConfigDict, split: str = "train") -> pathlib.Path | None:
    """Finds the absolute folder of a configuration's data; None for synthetic scenes.

    The folder is `data.dir`, else the environment variable GUN_DATA_DIR, else `data` in the current folder; or the
    folder in it that has the source's name.

    Raises:
      InputError: neither has the folder of the split's images.
    """
    if data.source == "synthetic":
        return None
    layout = _layout(data)
    given = data.dir or os.environ.get(DATA_DIR_VARIABLE, "")
    looked_for = _of_split(layout.images, name_and_part(split)[0])
    remedy = f"{layout.remedy}, or name its folder with {DATA_DIR_VARIABLE}=DIR or --config.data.dir=DIR"
    root = pathlib.Path(given or "data").expanduser().absolute()
    for candidate in (root, root / data.source):
        if (candidate / looked_for).is_dir() or (data.source == "cityscapes" and tfds.is_there(candidate)):
            return candidate
    raise InputError(
        f"{layout.title} is missing: looked for {looked_for} in {root} and in {root / data.source}; {remedy}"
    )


def _of_split(path: str, split: str) -> str:
    return path.replace("{split}", split)


def _layout(data: ConfigDict) -> Layout:
    if data.source not in LAYOUTS:
        expected = one_of(data.source, SOURCES)
        raise InputError(f"config.data.source is {data.source!r}; expected {expected}")
    layout = LAYOUTS[data.source]
    if data.source == "folder":
        layout = dataclasses.replace(
            layout,
            images=data.images,
            labels=data.labels,
            image_ending=data.image_ending or IMAGE_ENDINGS,
            label_ending=data.label_ending,
            split_list=data.split_list,
        )
    return layout
