"""Forms of the operations for CPUs: the values of `gun_jax.ops` in less time or memory (docs/performance.md).

Importing this package registers them. `gun_jax.ops.dispatch` says when they are used.
"""

from gun_jax.kernels import convolution, depthwise, loss, norm, resizing, sampling

__all__ = ["convolution", "depthwise", "loss", "norm", "resizing", "sampling"]
