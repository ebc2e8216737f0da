"""Which form an operation takes: by backend, context, environment and open sizes; and what `jax.jit` makes of it."""

import os
import subprocess
import sys

import jax
import jax.export
import jax.numpy as jnp
import pytest

from gun_jax import plain_ops
from gun_jax.ops.dispatch import Op


@pytest.fixture
def double():
    """An operation that adds 1 on CPUs, which shows that the form for CPUs is taken."""

    @Op
    def double(x):
        return 2 * x

    double.on_cpu(lambda x: 2 * x + 1)
    return double


def test_without_a_form_for_cpus_an_operation_is_the_plain_one():
    with plain_ops(False):
        assert Op(lambda x: 2 * x)(3) == 6


def test_on_a_cpu_the_form_for_cpus_is_taken_except_inside_plain_ops(double):
    with plain_ops(False):
        assert double(3) == 7
        with plain_ops():
            assert double(3) == 6
        assert double(3) == 7


def test_on_other_backends_the_plain_form_is_taken(double, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with plain_ops(False):
        assert double(3) == 6


def test_sizes_that_an_export_leaves_open_take_the_plain_form(double):
    (side,) = jax.export.symbolic_shape("side")
    with plain_ops(False):
        exported = jax.export.export(jax.jit(double))(jax.ShapeDtypeStruct((side,), jnp.float32))
        assert exported.call(jnp.full(2, 3.0))[0] == 6


def test_a_compiled_function_is_traced_again_inside_plain_ops(double):
    compiled = jax.jit(double)
    with plain_ops(False):
        assert compiled(3) == 7
        with plain_ops():
            assert compiled(3) == 6  # not the program above
        assert compiled(3) == 7
    assert compiled._cache_size() == 2


PROGRAM = """
import jax, gun_jax
from gun_jax.ops.norm import batch_normalise
print("custom_vjp" in str(jax.make_jaxpr(lambda x: batch_normalise(x, x[0], x[0], 1e-5))(jax.numpy.ones((2, 3)))))
"""


@pytest.mark.parametrize(("setting", "expected"), [({}, "True"), ({"GUN_PLAIN_OPS": "1"}, "False")])
def test_forms_for_cpus_are_the_default_and_the_environment_turns_them_off(setting, expected):
    environment = {name: value for name, value in os.environ.items() if name != "GUN_PLAIN_OPS"}
    printed = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=environment | setting
    )
    assert printed.stdout.strip() == expected
