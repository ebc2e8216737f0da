"""The programs: flags, then one call into the package. `train.py` and so on, or `gun-train` where it is installed."""
