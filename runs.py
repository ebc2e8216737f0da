#!/usr/bin/env python3
"""Compares runs: `python runs.py --help`, gun_jax/programs/runs.py."""

from gun_jax.programs.runs import run

if __name__ == "__main__":
    run()
