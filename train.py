#!/usr/bin/env python3
"""Trains a network: `python train.py --help`, gun_jax/programs/train.py."""

from gun_jax.programs.train import run

if __name__ == "__main__":
    run()
