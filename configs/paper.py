"""Every column of Tables 1 to 4 of the paper, with its recipe, on Cityscapes: paper.py:TABLE=COLUMN.

    python train.py --config=configs/paper.py:table4=high_res --workdir=runs/table4-high_res
    python evaluate.py --workdir=runs/table4-high_res --trimap

    table1  baseline enc4 enc24 enc24shared enc124shared        encoders; base_sum, bilinear upsampling
    table2  base_sum base_concat postproc_sum postproc_concat   fusion modules; bilinear upsampling
    table3  baseline color_jitter lighting_jitter random_scale  augmentations; bilinear upsampling
    table4  baseline large_rf high_res fusion                   guidance modules; with random scale

Data: leftImg8bit/ and gtFine/ of Cityscapes in the folder that GUN_DATA_DIR or --config.data.dir names. ImageNet
weights: --config.init=drn_d_22-4bd2f8ea.pth.
Hardware and time: see configs/gun.py. A dry run on any machine: --config.data.source=synthetic --config.steps=20
Expect: the paper's figures, listed in `gun_jax/paper.py`. We have trained these columns on CamVid only:
configs/paper_camvid.py, with results in docs/results.md.
"""

from gun_jax import paper
from gun_jax.configuration import ConfigDict, default_config


def get_config(experiment: str = "table4=fusion") -> ConfigDict:
    config = default_config()  # the paper's final network and recipe
    paper.set_column(config, experiment)
    return config
