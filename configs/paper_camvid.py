"""The columns of Tables 2 to 4 on CamVid, at a quarter of the width: paper_camvid.py:TABLE=COLUMN.

    python train.py --config=configs/paper_camvid.py:table4=high_res --config.data.dir=CAMVID --workdir=runs/high_res
    python evaluate.py --workdir=runs/high_res --trimap

Columns: see configs/paper.py. Another seed: --config.seed=1. Equation 2 instead of 4 in Table 4's fusion column:
--config.model.method=nearest. All columns of a table from one trained network: --config.init=runs/table4-baseline
--config.epochs=12 --config.optimizer.peak_rate=0.05.

Data: the SegNet split at 480x360, folders train trainannot val valannot in CAMVID.
Hardware: one CPU core (AMD EPYC), about 7 minutes for 24 epochs.
Expect: 40.8 % mIoU on val (table4=baseline, seed 0; 40.1 and 37.9 with seeds 1 and 2). docs/results.md has
the other columns.
"""

from gun_jax import paper
from gun_jax.configuration import ConfigDict, default_config


def get_config(experiment: str = "table4=fusion") -> ConfigDict:
    config = default_config()
    config.epochs = 24.0
    config.eval_every_epochs = 0.0  # only after the last step

    config.data.source = "camvid"
    config.data.crop = (180, 240)

    config.model.input_subsampling = 2  # the images are half-size: their originals are 960x720
    config.model.width = 0.25

    config.optimizer.peak_rate = 0.1
    config.optimizer.schedule = "poly"
    config.optimizer.warmup_epochs = 1.0
    paper.set_column(config, experiment)
    return config
