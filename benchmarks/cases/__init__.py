"""The cases that are compared: `worker.py` runs one of a module beside it, by its name there.

It is run by its path and finds the modules in its own folder: as parts of `gun_jax` they would load JAX, also into the
processes of PyTorch and OpenVINO, whose memory and time are measured. Modules of our own cases import `gun_jax`
themselves, as its users do; those of the peers import nothing of ours.
"""
