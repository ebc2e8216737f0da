#!/usr/bin/env python3
"""Evaluates a trained network: `python evaluate.py --help`, gun_jax/programs/evaluate.py."""

from gun_jax.programs.evaluate import run

if __name__ == "__main__":
    run()
