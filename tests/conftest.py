"""What test modules share: compiled programs kept from run to run, and a small network as if it had been trained."""

import json
import os
import signal
import types

import jax
import jaxlib
import numpy as np
import pytest

from gun_jax.runs.workdir import save_config

# What else XLA can spare on CPUs. (Programs under test inherit it, too. An XLA that does not know an option aborts.)
QUICK_FLAGS = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"


def pytest_configure(config):
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell leaves it to what it starts in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Compiling is most of the tests' time. Programs under test inherit it.
    if config.pluginmanager.hasplugin("cacheprovider"):
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(config.cache.mkdir("jax")))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")
    os.environ["GUN_ONEDNN"] = "0"  # except in its tests
    # Plain operations compile faster. tests/kernels uses the forms for CPUs. Programs under test inherit both.
    os.environ.setdefault("GUN_PLAIN_OPS", "1")
    # The networks are tiny, and there are many: most optimisations cost more than they save. `make test-all` has them.
    # (Workers of pytest-xdist inherit the variable before they import JAX; programs under test do, too.)
    quick = os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1") != "0"
    jax.config.update("jax_disable_most_optimizations", quick)
    if quick and jaxlib.__version__.startswith("0.10."):
        os.environ["XLA_FLAGS"] = f"{QUICK_FLAGS} {os.environ.get('XLA_FLAGS', '')}"


def make_small_config():
    """Of 6 steps of 2 drawn scenes of 64x128, three steps an epoch, with a checkpoint after each."""
    from gun_jax.configuration import default_config

    config = default_config()
    config.epochs = 2.0
    config.batch_size = 2
    config.eval_every_epochs = 1.0
    config.checkpoint_every_epochs = 1 / 3
    config.keep_checkpoints = 20
    config.log_every_steps = 1
    config.data.source = "synthetic"
    config.data.synthetic_size = (64, 128)
    config.data.synthetic_train = 6
    config.data.synthetic_val = 3
    config.data.random_scale = ()
    config.data.threads = 2
    config.data.prefetch = 4
    config.model.input_subsampling = 2
    config.model.width = 0.1
    config.optimizer.peak_rate = 0.05
    config.optimizer.step_epochs = 1.0
    return config


def _random_like(tree, seed):
    """Arrays of the shapes of `tree`, random, with which a network tells many classes apart."""
    import jax

    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        name = path[-1].key.split("_")[0]
        if name == "kernel":
            return rng.normal(0, np.sqrt(3 / np.prod(leaf.shape[:-1])), leaf.shape).astype(np.float32)
        return rng.uniform(*((0.5, 1.5) if name in ("scale", "var") else (-0.5, 0.5)), leaf.shape).astype(np.float32)

    return jax.tree.map_with_path(draw, tree)


@pytest.fixture(scope="session")
def new_small_config():
    """`new_small_config()` is a configuration as `small_config`."""
    return make_small_config


@pytest.fixture
def small_config():
    """Of 6 steps of 2 drawn scenes of 64x128, three steps an epoch, with a checkpoint after each."""
    return make_small_config()


@pytest.fixture(scope="session")
def random_variables():
    """`random_variables(model, seed)`: random variables with which a network tells many classes apart."""
    import jax
    import jax.numpy as jnp

    def make(model, seed=0):
        return _random_like(jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3))), seed)

    return make


@pytest.fixture(scope="session")
def random_run(tmp_path_factory, random_variables):
    """A workdir with two checkpoints, of steps 3 and 7, as training writes it, of a network with random variables.

    `variables` are those of step 7; the network never predicts "fence", class 4, of which these scenes have none.
    """
    import optax

    from gun_jax import configuration
    from gun_jax.data.classes import CITYSCAPES
    from gun_jax.runs.checkpoints import Checkpoints
    from gun_jax.training.state import TrainState

    workdir = tmp_path_factory.mktemp("runs") / "random"
    config = make_small_config()
    config.data.synthetic_val, config.data.synthetic_seed = 5, 7
    model = configuration.build_model(config.model, len(CITYSCAPES))
    save_config(workdir, config, CITYSCAPES)
    with Checkpoints(workdir) as checkpoints:
        for step in (3, 7):
            variables = random_variables(model, seed=step)
            variables["params"]["classifier"]["bias"][4] = -1e4
            state = TrainState(np.int32(step), **variables, opt_state=optax.sgd(0.1, 0.9).init(variables["params"]))
            checkpoints.save(state, {"network": configuration.describe_network(config.model, len(CITYSCAPES))})
    return types.SimpleNamespace(workdir=workdir, config=config, model=model, variables=variables, step=7)


@pytest.fixture(scope="session")
def iou_by_loops():
    """`iou_by_loops(labels, predictions, classes)`: (IoU by class with None, mean, accuracy) of lists of maps."""

    def score(labels, predictions, classes):
        truth = np.concatenate([np.ravel(label) for label in labels])
        found = np.concatenate([np.ravel(prediction) for prediction in predictions])
        found, truth = found[truth != 255], truth[truth != 255]
        iou = []
        for c in range(classes):
            union = np.sum((truth == c) | (found == c))
            iou.append(np.sum((truth == c) & (found == c)) / union if union else None)
        return iou, np.mean([value for value in iou if value is not None]), np.mean(truth == found)

    return score


@pytest.fixture(scope="session")
def strict_json():
    """Parses JSON as the standard has it: no NaN, no Infinity."""

    def refuse(constant):
        raise ValueError(f"{constant} is not JSON")

    return lambda text: json.loads(text, parse_constant=refuse)


def pytest_collection_modifyitems(items):
    for item in items:
        if marker := item.get_closest_marker("fault"):
            item.user_properties += [("fault", marker.args[0]), *marker.kwargs.items()]
