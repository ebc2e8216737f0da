"""Finds images and labels in a folder: their folders, the endings of their names, and the splits."""

import dataclasses
import hashlib
import itertools
import pathlib
from collections.abc import Collection, Iterator

from gun_jax.data.folders import IMAGE_ENDINGS, names_below
from gun_jax.data.splits import read_split_list
from gun_jax.errors import InputError
from gun_jax.own_data.endings import find_endings, pair

TRAIN = ("train", "training")
VAL = ("val", "valid", "validation", "eval")
IMAGES = ("images", "image", "imgs", "img", "pictures", "photos", "rgb", "jpegimages", "image_2")
LABELS = ("labels", "label", "masks", "mask", "annotations", "annotation", "gt", "semantic", "segmentationclass")
OWN_LIST = "gun-{split}.txt"
_LISTS = (OWN_LIST, "{split}.txt", "ImageSets/Segmentation/{split}.txt")
_EXPECTED = (
    "train/images and train/labels (and val/...), images/train and labels/train, train and trainannot, images and "
    "labels, or a.jpg beside a_mask.png"
)
_VAL_PART = 0.2  # of the images, if the folder has no validation split


@dataclasses.dataclass(frozen=True)
class Layout:
    """The settings of a configuration's `data` section that describe a folder.

    Attributes:
      images, labels: the folders; {split} stands for the name of a split.
      image_ending, label_ending: endings of the names of images and labels.
      train_split, eval_split: names of the splits.
      split_list: file with the names of a split's images; "": the splits are folders.
      names: the images of each split.
      notes: lines about what a user may not expect.
    """

    images: str
    labels: str
    image_ending: str
    label_ending: str
    train_split: str
    eval_split: str
    split_list: str
    names: dict[str, list[str]]
    notes: tuple[str, ...]

    def folders(self, root: pathlib.Path, split: str) -> tuple[pathlib.Path, pathlib.Path]:
        """The folders of a split's images and labels."""
        return root / self.images.replace("{split}", split), root / self.labels.replace("{split}", split)


def find_layout(root: pathlib.Path) -> Layout:
    """Finds images and labels of the same names below a folder.

    Raises:
      InputError: there are fewer than two, or the folder cannot be read.
    """
    try:
        for images, labels in _candidates(root):
            layout = _with_splits(root, images, labels) if "{split}" in images else _without(root, images, labels)
            if layout is not None:
                return layout
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read: {error.strerror}; expected a folder of images") from error
    raise InputError(f"{root} has no images with labels of the same names; expected {_EXPECTED}")


def _candidates(root: pathlib.Path) -> Iterator[tuple[str, str]]:
    """Pairs of folders of images and labels below `root`, the most specific first."""
    top = _folders(root)
    both = list(itertools.product(_called(top, IMAGES), _called(top, LABELS)))
    splits = _called(top, TRAIN)
    for train in splits:
        inner = _folders(root / train)
        for image, label in itertools.product(_called(inner, IMAGES), _called(inner, LABELS)):
            yield f"{{split}}/{image}", f"{{split}}/{label}"
    for image, label in both:
        yield f"{image}/{{split}}", f"{label}/{{split}}"
    for train in splits:
        for name in top:
            if name.startswith(train) and name != train:  # trainannot, train_labels
                yield "{split}", "{split}" + name.removeprefix(train)
        yield "{split}", "{split}"
    yield from both
    yield ".", "."


def _folders(folder: pathlib.Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _called(names: Collection[str], words: Collection[str]) -> list[str]:
    """The names that equal one of the words, ignoring case, in the order of the words."""
    return [name for word in words for name in names if name.lower() == word]


def _with_splits(root: pathlib.Path, images: str, labels: str) -> Layout | None:
    """The layout with a folder for each split; a lone training folder is split by lists."""
    endings: tuple[str, str] | None = None
    found: dict[str, tuple[list[str], list[str]]] = {}  # names with and without label
    for words in (TRAIN, VAL):
        for split in _split_names(root, images, words):
            image_files, label_files = (_images(root, part.replace("{split}", split)) for part in (images, labels))
            shared = images == labels
            endings = endings or find_endings(image_files, label_files, shared)
            named = pair(image_files, label_files, *endings, shared) if endings else ([], [])
            if named[0]:
                found[split] = named
                break
        if not found:
            return None
    assert endings is not None
    train, *rest = found
    if not rest:
        alone = [part.replace("{split}", train) for part in (images, labels)]
        return _by_lists(root, alone[0], alone[1], endings, *found[train])
    names = {split: sorted(labelled + bare) for split, (labelled, bare) in found.items()}
    return Layout(images, labels, *endings, train, rest[0], "", names, ())


def _split_names(root: pathlib.Path, images: str, words: Collection[str]) -> list[str]:
    """Folders that may be a split's, in place of the {split} of `images`."""
    above = images.partition("{split}")[0]
    return _called(_folders(root / above), words)


def _without(root: pathlib.Path, images: str, labels: str) -> Layout | None:
    """The layout with one folder of images and one of labels, or one for both."""
    image_files, label_files, shared = _images(root, images), _images(root, labels), images == labels
    endings = find_endings(image_files, label_files, shared)
    if endings is None:
        return None
    return _by_lists(root, images, labels, endings, *pair(image_files, label_files, *endings, shared))


def _by_lists(
    root: pathlib.Path, images: str, labels: str, endings: tuple[str, str], labelled: list[str], bare: list[str]
) -> Layout:
    """A layout whose splits are lists, existing or new ones, without the images that have no label."""
    notes = [f"{len(bare)} of {len(bare) + len(labelled)} images have no label: they are not used"] if bare else []
    for lists, train, val in itertools.product(_LISTS, TRAIN, VAL):
        paths = [root / lists.replace("{split}", split) for split in (train, val)]
        if not all(path.is_file() for path in paths):
            continue
        names = {split: read_split_list(path) for split, path in zip((train, val), paths, strict=True)}
        listed = set(itertools.chain.from_iterable(names.values()))
        strange = sorted(listed - set(labelled))
        if all(names.values()) and not strange:
            notes.append(f"the splits are the lists {paths[0].name} and {paths[1].name}")
            if twice := len(set(names[train]) & set(names[val])):
                notes.append(f"{twice} images are in both lists: scores on val will be too high")
            if left := len(labelled) - len(listed):
                notes.append(f"{left} of {len(labelled)} images with labels are in neither of the two lists")
            return Layout(images, labels, *endings, train, val, lists, names, tuple(notes))
        if lists == OWN_LIST:
            what = f"name {strange[0]!r}, which is no image with a label" if strange else "include an empty list"
            raise InputError(f"{paths[0]} and {paths[1].name} {what}; correct or remove them")
        notes.append(f"{paths[0].name} and {paths[1].name} list no names of these images: they are not used")
    if len(labelled) < 2:
        raise InputError(
            f"{root} has {len(labelled)} image with a label; expected at least 2, to train on and to evaluate"
        )
    if broken := next((name for name in labelled if "\n" in name or name.endswith("\r")), None):
        raise InputError(f"{root}: the name {broken!r} has a line break, which a list cannot hold; rename the file")
    names = split_by_name(labelled)
    notes.append(
        f"there is no validation split: {len(names['val'])} of {len(labelled)} images were chosen by their names; if "
        "they are frames of videos, edit the lists so that no video is in both"
    )
    return Layout(images, labels, *endings, "train", "val", OWN_LIST, names, tuple(notes))


def split_by_name(names: Collection[str]) -> dict[str, list[str]]:
    """Chooses a fifth of the images for "val", the others for "train", by hashes of their names.

    The choice is the same on any machine, and one more image moves few others. There must be at least 2.
    """
    by_digest = sorted(names, key=lambda name: hashlib.sha256(name.encode(errors="surrogateescape")).digest())
    val = set(by_digest[: max(1, round(_VAL_PART * len(by_digest)))])
    return {"train": sorted(set(names) - val), "val": sorted(val)}


def _images(root: pathlib.Path, inner: str) -> list[str]:
    """Names of the image files below a folder; none if it does not exist."""
    folder = root / inner
    return sorted(
        name
        for name in (names_below(folder) if folder.is_dir() else ())
        if name.lower().endswith(IMAGE_ENDINGS) and not name.rpartition("/")[2].startswith(".")
    )
