"""Tests of the forms for CPUs: here operations take them, as they do by default."""

import jax
import pytest

from gun_jax import plain_ops

collect_ignore_glob = [] if jax.default_backend() == "cpu" else ["test_*.py"]


@pytest.fixture(autouse=True, scope="module")
def forms_for_cpus():
    with plain_ops(False):
        yield
