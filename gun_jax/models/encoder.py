"""Multi-resolution encoders (section 3, Table 1): branches of one or several DRNs that see subsampled images."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gun_jax.errors import InputError, check_choice, check_count
from gun_jax.models.drn import DRN, LEVELS
from gun_jax.ops.resizing import resize

FINE_LEVEL = 4  # the finer branches stop "before dilated convolutions"
HIGH_RESOLUTION_LEVEL = 2  # "the last convolution before downsampling": the input of the guidance modules
EARLY_LEVELS = {2: HIGH_RESOLUTION_LEVEL, 4: 3}  # by their strides


@dataclasses.dataclass(frozen=True)
class Branches:
    """Subsampling factors of the branches, finest first, and whether levels 0 to 4 are one set of parameters."""

    factors: tuple[int, ...]
    shared: bool = False


ENCODERS = {
    "baseline": Branches((1,)),
    "enc4": Branches((4,)),
    "enc24": Branches((2, 4)),
    "enc24shared": Branches((2, 4), shared=True),
    "enc124": Branches((1, 2, 4)),
    "enc124shared": Branches((1, 2, 4), shared=True),
}
BRANCH_NORMS = ("shared", "separate")


class Encoder(nn.Module):
    """The branches of Table 1.

    Attributes:
      name_in_paper: one of `ENCODERS`.
      variant: of the DRN.
      branch_norm: with shared parameters, "shared" keeps one set of batch-norm running statistics and "separate" one
        for each branch.
      input_subsampling: the factor by which the images are subsampled already (1, 2, 4).
      width, dtype: as in `DRN`.
    """

    name_in_paper: str = "enc24shared"
    variant: str = "d22"
    branch_norm: str = "shared"
    input_subsampling: int = 1
    width: float = 1.0
    dtype: Any = jnp.float32

    def setup(self) -> None:
        check_choice("Encoder", "encoder", self.name_in_paper, ENCODERS)
        check_choice("Encoder", "branch_norm", self.branch_norm, BRANCH_NORMS)
        check_count("Encoder", "input_subsampling", self.input_subsampling)
        branches = ENCODERS[self.name_in_paper]
        drn = {"variant": self.variant, "num_classes": None, "width": self.width, "dtype": self.dtype}
        if branches.shared:
            self.drn = DRN(**drn)  # one submodule, called once for each branch
            self.drns = [self.drn] * len(branches.factors)
        else:
            self.drns = [DRN(**drn, name=f"drn{factor}") for factor in branches.factors]

    def __call__(self, images: jax.Array, train: bool = False) -> tuple[list[jax.Array], dict[int, jax.Array]]:
        """Runs the branches on normalised images (B, H, W, 3).

        Returns:
          The signals of the branches, finest first: level 4 of the finer branches (B, h, w, 128), level 8 of the
          coarsest (B, h, w, 512), each at 1/8 of the image that the branch sees. Then early maps of the finest branch
          by their strides: {2: level 2 (B, h', w', 32), the high-resolution features for guidance; 4: level 3
          (B, h", w", 64)}.

        Raises:
          InputError: a branch would have to enlarge the images, or attributes that no encoder has.
        """
        branches = ENCODERS[self.name_in_paper]
        separate = branches.shared and self.branch_norm == "separate"
        signals = []
        for factor, drn in zip(branches.factors, self.drns, strict=True):
            seen = resize(images, branch_size(images.shape[1:3], factor, self.input_subsampling))
            last_level = LEVELS - 1 if factor == branches.factors[-1] else FINE_LEVEL
            statistics = f"branch{factor}" if separate else ""
            levels = drn.features(seen.astype(self.dtype), train, last_level, statistics)
            signals.append(levels[-1])
            if factor == branches.factors[0]:
                early = {stride: levels[level] for stride, level in EARLY_LEVELS.items()}
        return signals, early


def branch_size(size: Sequence[int], factor: int, input_subsampling: int) -> tuple[int, int]:
    """Size (height, width) of the image that a branch of subsampling `factor` sees of an image of `size`.

    Raises:
      InputError: the branch would have to enlarge the image.
    """
    if factor < input_subsampling:
        raise InputError(
            f"Encoder: a branch of subsampling {factor} would have to enlarge images that are subsampled by "
            f"{input_subsampling} already; use an encoder of coarser branches, or larger images with a smaller "
            "input_subsampling"
        )
    height, width = (max(1, -(-side * input_subsampling // factor)) for side in size)
    return height, width
