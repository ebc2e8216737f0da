#!/usr/bin/env python3
"""Segments images, videos or a camera's stream: `python predict.py --help`, gun_jax/programs/predict.py."""

from gun_jax.programs.predict import run

if __name__ == "__main__":
    run()
