"""The demo: a quarter of the network's width, on drawn street scenes. `make demo` runs both commands.

    python train.py --config=configs/synthetic.py --workdir=runs/demo
    python evaluate.py --workdir=runs/demo --panels=8

Hardware: 2 CPU cores, 4 to 10 minutes for 2000 steps.
Expect: 56.0 % mIoU (19 classes) and 85.7 % pixel accuracy on 64 scenes that are not trained on; see docs/results.md.
"""

from gun_jax.configuration import ConfigDict, default_config


def get_config() -> ConfigDict:
    config = default_config()
    config.epochs = 1.0
    config.batch_size = 4
    config.eval_every_epochs = 0.5
    config.checkpoint_every_epochs = 0.1
    config.log_every_steps = 50

    config.data.source = "synthetic"
    config.data.synthetic_size = (160, 320)
    config.data.synthetic_train = 8000  # each is used once
    config.data.crop = (128, 256)
    config.data.random_scale = ()  # the scenes already have all scales

    config.model.input_subsampling = 2
    config.model.width = 0.25

    config.optimizer.peak_rate = 0.1
    config.optimizer.schedule = "poly"
    config.optimizer.warmup_epochs = 0.05
    return config
