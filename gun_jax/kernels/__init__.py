"""Faster forms of the operations for CPUs, which register themselves with `gun_jax.ops.dispatch`."""
