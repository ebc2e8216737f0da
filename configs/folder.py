"""Your own images and labels: a folder, a class map and this recipe.

    python train.py --config=configs/folder.py --config.data.dir=DIR --workdir=runs/NAME
    python evaluate.py --workdir=runs/NAME --panels=8

Data: DIR/train/images, DIR/train/labels, DIR/val/images, DIR/val/labels and DIR/classes.json (see docs/own_data.md).
`train.py --new-config DIR` writes a file like this one for your folder, also for other layouts.
The recipe is that of configs/camvid.py, which starts from random weights. Adapt first: `data.crop`, (height, width);
`model.input_subsampling`, 1 for images about as large as Cityscapes' 1024x2048, 2 for images of half that size or less;
`model.width`, e.g. 0.25 on a machine without a GPU.
"""

from gun_jax.configuration import ConfigDict, default_config


def get_config() -> ConfigDict:
    config = default_config()
    config.epochs = 100.0

    config.data.source = "folder"
    config.data.crop = (256, 512)

    config.model.input_subsampling = 2

    config.optimizer.peak_rate = 0.05
    config.optimizer.schedule = "poly"
    config.optimizer.warmup_epochs = 1.0
    return config
