"""The included pretrained model: 0.3125 of the width, on CamVid. `make pretrained` trains and exports it.

    python train.py --config=configs/camvid_narrow.py --config.data.dir=CAMVID --workdir=runs/camvid_narrow
    python evaluate.py --workdir=runs/camvid_narrow --panels=8
    python export.py --workdir=runs/camvid_narrow --format=weights

Leave one drive out: configs/camvid_narrow.py:fold=0001TP, fold=0006R0 or fold=0016E5.
Data: the SegNet split at 480x360, folders train trainannot val valannot in CAMVID.
Hardware: 2 CPU cores (Intel Xeon), 15 images a second with oneDNN: 41 minutes for 100 epochs and 10 evaluations.
Expect: 56.4 % mIoU on val (11 classes), 90.5 % pixel accuracy; see the model card in
gun_jax/weights/pretrained/camvid_narrow.
"""

from gun_jax.configuration import ConfigDict, default_config, leave_out


def get_config(fold: str = "") -> ConfigDict:
    config = default_config()
    leave_out(config, fold)
    config.epochs = 100.0
    config.eval_every_epochs = 10.0

    config.data.source = "camvid"
    config.data.crop = (240, 320)
    config.data.color_jitter = 0.3  # cameras differ in their colours

    config.model.input_subsampling = 2  # the images are half-size: their originals are 960x720
    config.model.width = 0.3125

    config.optimizer.peak_rate = 0.1
    config.optimizer.schedule = "poly"
    config.optimizer.warmup_epochs = 2.0
    return config
