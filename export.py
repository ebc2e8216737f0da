#!/usr/bin/env python3
"""Exports a trained network for deployment: `python export.py --help`, gun_jax/programs/export.py."""

from gun_jax.programs.export import run

if __name__ == "__main__":
    run()
