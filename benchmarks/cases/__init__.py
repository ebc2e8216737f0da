"""The cases that are compared: `worker.py` runs one of them in a process of its own.

The worker finds a module in its folder, not as a part of a package: `benchmarks` and `gun_jax` would load JAX, also
into the processes of PyTorch and OpenVINO, whose memory and time are measured. The modules of our own cases import
`gun_jax` as its users do; those of the peers import nothing of ours.
"""
