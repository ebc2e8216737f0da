from absl import app
from ml_collections import config_flags
C = config_flags.DEFINE_config_file("config", None)
from absl import flags
W = flags.DEFINE_string("workdir", None, "")
def main(argv):
    import pathlib
    from gun_jax.training.loop import train
    train(C.value, pathlib.Path(W.value))
app.run(main)
