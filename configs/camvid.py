from gun_jax.configuration import ConfigDict, default_config


def get_config() -> ConfigDict:
    config = default_config()
    config.epochs = 42.0

    config.data.source = "camvid"
    config.data.crop = (240, 320)

    config.model.input_subsampling = 2  # the pictures are half-size: their originals are 960x720

    config.optimizer.peak_rate = 0.05
    config.optimizer.schedule = "poly"
    config.optimizer.warmup_epochs = 1.0
    return config
