"""The paper's final network and recipe (section 3.1) on Cityscapes.

    python train.py --config=configs/gun.py --workdir=runs/gun
    python evaluate.py --workdir=runs/gun

Data: leftImg8bit/ and gtFine/ of Cityscapes in the folder that GUN_DATA_DIR or --config.data.dir names.
ImageNet weights: --config.init=drn_d_22-4bd2f8ea.pth. The rate is meant for them; random weights need a higher one.
Hardware: not tried. 250 epochs of 2975 images are 93,000 steps of 8 images at 1024x2048. Extrapolated from XLA's memory
at 2x256x512, a step needs about 26 GB, on one device or shared by several.
Expect: 69.6 % mIoU on val and 70.4 % on test, the paper's results (Tables 4 and 5) from ImageNet weights. We have not
trained it; docs/results.md has the results that we measured.

The paper leaves two values open. The crop: here the original size, after the random scale. The end of the schedule:
here 250 epochs, the smallest number that the paper names.
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
