"""The paper's final network and recipe (section 3.1) on Cityscapes.

    python train.py --config=configs/gun.py --workdir=runs/gun
    python evaluate.py --workdir=runs/gun

Data: leftImg8bit/ and gtFine/ of Cityscapes in the folder that GUN_DATA_DIR or --config.data.dir names.
Hardware: not tried here. 250 epochs of 2975 images are 93,000 steps of 8 images at 1024x2048; by what XLA asks for at
2x256x512, a step takes some 26 GB of memory, on one device or shared by several.
Expect: 69.6 % mIoU on val and 70.4 % on test in the paper (Tables 4 and 5), from ImageNet weights. We have not trained
it: see docs/results.md for what we have measured.

The paper leaves open: the crop (after random scale we take the original size again), and the schedule's end (250
epochs, the least that it names).
"""

from gun_jax.configuration import ConfigDict, default_config


def get_config() -> ConfigDict:
    config = default_config()
    config.epochs = 250.0
    config.batch_size = 8

    config.data.source = "cityscapes"
    config.data.random_scale = (0.5, 2.0)
    config.data.flip = True

    config.model.encoder = "enc24shared"
    config.model.fusion = "postproc_sum"
    config.model.guidance = "fusion"
    config.model.method = "bilinear"

    config.optimizer.peak_rate = 0.001
    config.optimizer.schedule = "step"
    config.optimizer.step_epochs = 100.0
    config.optimizer.step_factor = 0.1
    config.optimizer.momentum = 0.9
    config.optimizer.weight_decay = 1e-4
    return config
