"""The measurements of `benchmark.py`: the paper's tables, and the network beside its peers and the machine's limits."""
