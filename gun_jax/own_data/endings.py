"""Pairs images with labels by their names."""

from collections import Counter
from collections.abc import Collection, Iterator

from gun_jax.data.folders import IMAGE_ENDINGS

_LOSSY = (".jpg", ".jpeg")
_TRIED = 8  # endings that many images share
_SEPARATORS = "._- "


def find_endings(images: Collection[str], labels: Collection[str], shared: bool) -> tuple[str, str] | None:
    """Finds the endings with which the most images have a label; the simplest of equals.

    Args:
      images: paths of images below their folder, e.g. "berlin/a_image.png".
      labels: paths of labels below theirs.
      shared: whether both are the same folder.

    Returns:
      `FolderSource`'s endings of images ("" for any of the usual ones) and of labels; None: no image has a label.
    """
    best, endings = (0, 0), None
    for image_ending in ["", *_common_endings(images)]:
        for label_ending in _label_endings(images, labels, image_ending, shared):
            labelled, bare = pair(images, labels, image_ending, label_ending, shared)
            if labelled and not bare and not image_ending:
                return image_ending, label_ending
            if labelled and (len(labelled), -len(bare)) > best:
                best, endings = (len(labelled), -len(bare)), (image_ending, label_ending)
    return endings


def pair(
    images: Collection[str], labels: Collection[str], image_ending: str, label_ending: str, shared: bool
) -> tuple[list[str], list[str]]:
    """Names without ending of the images with a label, and of those without; pairs like `FolderSource`.

    Both lists are empty if two images have the same name.
    """
    keys = [key for name in images if (key := _key(name, image_ending, label_ending if shared else "")) is not None]
    if len(set(keys)) < len(keys):
        return [], []
    there = {name[: -len(label_ending)] for name in labels if name.lower().endswith(label_ending.lower())}
    return sorted(key for key in keys if key in there), sorted(key for key in keys if key not in there)


def _key(name: str, ending: str, others: str = "") -> str | None:
    """The name of an image without its ending; None if it ends otherwise, or in the longer ending of the others."""
    endings = (ending,) if ending else IMAGE_ENDINGS
    match = next((end for end in endings if name.lower().endswith(end.lower())), None)
    if match is None or (len(others) > len(match) and name.lower().endswith(others.lower())):
        return None
    return name[: -len(match)]


def _common_endings(names: Collection[str]) -> list[str]:
    """Endings after a separator that several names share, the shortest first."""
    counts = Counter(ending for name in names for ending in _tails(name))
    common = [ending for ending, count in counts.most_common(_TRIED) if count > 1 or len(names) == 1]
    return sorted(common, key=lambda ending: (len(ending), ending))


def _label_endings(images: Collection[str], labels: Collection[str], image_ending: str, shared: bool) -> list[str]:
    """What the names of labels add to those of images, the likeliest first."""
    keys = {key for name in images if (key := _key(name, image_ending)) is not None}
    counts: Counter[str] = Counter()
    for name in labels:
        counts.update(tail for tail in _tails(name) if name[: -len(tail)] in keys)
    own = [image_ending] if image_ending else IMAGE_ENDINGS
    common = [
        ending
        for ending, _ in counts.most_common(_TRIED)
        if not (shared and (is_lossy(ending) or ending.lower() in own))  # an image is not its own label
    ]
    # Of Cityscapes' four label files for a scene this chooses _labelIds.png.
    return sorted(common, key=lambda ending: (is_lossy(ending), not _says_label(ending), len(ending), ending))


def is_lossy(ending: str) -> bool:
    """Whether it is a JPEG's, which changes numbers and colours."""
    return ending.lower().endswith(_LOSSY)


def _says_label(ending: str) -> bool:
    return ending.startswith(".") or any(word in ending.lower() for word in ("label", "mask", "_l."))


def _tails(name: str) -> Iterator[str]:
    """The ends of a file name that begin with a separator: ".png", "_image.png"."""
    start = name.rfind("/") + 1
    for place in range(len(name) - 1, start, -1):
        if name[place] in _SEPARATORS:
            yield name[place:]
