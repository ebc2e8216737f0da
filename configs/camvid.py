"""The paper's final network at full width on CamVid (real street scenes, 11 classes), trained from random weights.

    python train.py --config=configs/camvid.py --config.data.dir=CAMVID --workdir=runs/camvid
    python evaluate.py --workdir=runs/camvid --panels=8

Leave one drive out: configs/camvid.py:fold=0001TP, fold=0006R0 or fold=0016E5.
Data: the SegNet split at 480x360, folders train trainannot val valannot in CAMVID.
Hardware: 2 CPU cores (AMD EPYC), 81 minutes for 42 epochs.
Expect: 56.3 % mIoU on val (11 classes), 91.0 % pixel accuracy; docs/results.md has every class and the curve.
"""

from gun_jax.configuration import ConfigDict, default_config, leave_out


def get_config(fold: str = "") -> ConfigDict:
    config = default_config()
    leave_out(config, fold)
    config.epochs = 42.0

    config.data.source = "camvid"
    config.data.crop = (240, 320)

    config.model.input_subsampling = 2  # the images are half-size: their originals are 960x720

    config.optimizer.peak_rate = 0.05
    config.optimizer.schedule = "poly"
    config.optimizer.warmup_epochs = 1.0
    return config
