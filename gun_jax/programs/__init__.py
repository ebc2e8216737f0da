"""The programs: flags, then one call into the package.

`python train.py` in the repository and the installed command `gun-train` both call `gun_jax.programs.train.run`.
"""
