"""Trained runs side by side, read from the small files in their workdirs: a leaf, without Orbax and compiling."""
