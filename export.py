#!/usr/bin/env python3
"""Writes a trained network as networks are deployed: `python export.py --help`, gun_jax/programs/export.py."""

from gun_jax.programs.export import run

if __name__ == "__main__":
    run()
