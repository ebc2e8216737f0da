"""The demo: the paper's network, narrow, on drawn street scenes. `make demo` runs both commands.

    python train.py --config=configs/synthetic.py --workdir=runs/demo
    python evaluate.py --workdir=runs/demo --panels=8

It starts from the included model camvid_narrow, which knows real streets: fewer drawn scenes teach it as much.
configs/synthetic.py:from_scratch is the demo of version 0.1: a quarter of the width, 2000 steps from random weights.
Hardware: 2 CPU cores (AMD EPYC) with oneDNN, 3 minutes for 720 steps and the evaluation.
Expect: 56.9 % mIoU (19 classes) and 85.1 % pixel accuracy on 64 scenes that are not trained on; see docs/results.md.
"""

from gun_jax.configuration import ConfigDict, default_config
from gun_jax.errors import InputError


def get_config(variant: str = "") -> ConfigDict:
    config = default_config()
    config.init = "camvid_narrow"
    config.epochs = 1.0
    config.batch_size = 4
    config.eval_every_epochs = 0.5
    config.checkpoint_every_epochs = 0.1
    config.log_every_steps = 50

    config.data.source = "synthetic"
    config.data.synthetic_size = (160, 320)
    config.data.synthetic_train = 2880  # each is used once
    config.data.crop = (128, 256)
    config.data.random_scale = ()  # the scenes already have all scales

    config.model.input_subsampling = 2
    config.model.width = 0.3125
    config.model.logits_stride = 4
    config.model.decoder_channels = 32

    # 1 / ln(1.10 + share of the pixels) of the 19 classes in drawn scenes: `log`, without drawing them all first.
    config.loss.class_weights = "2.9,8.3,4.9,9.5,9.3,8.8,9.8,9.5,4.5,8.6,5.0,9.7,8.9,7.4,7.6,7.9,8.4,9.5,10.0"

    config.optimizer.peak_rate = 0.15
    config.optimizer.schedule = "poly"
    config.optimizer.warmup_epochs = 0.05

    if variant not in ("", "from_scratch"):
        raise InputError(f"variant {variant!r}; expected from_scratch, or none")
    if variant:
        config.init = ""
        config.data.synthetic_train = 8000
        config.model.width = 0.25
        config.model.logits_stride = 0
        config.loss.class_weights = ""
        config.optimizer.peak_rate = 0.1
    return config
