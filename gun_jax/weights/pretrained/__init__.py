"""The pretrained model that is included: `camvid/MODEL_CARD.md` describes it."""

import pathlib

FOLDER = pathlib.Path(__file__).parent / "camvid"  # as a workdir: all programs take it
