"""Trained runs: their workdirs, checkpoints and metrics."""
