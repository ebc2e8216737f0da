#!/usr/bin/env python3
"""Labels your images, videos or camera: `python predict.py --help`, gun_jax/programs/predict.py."""

from gun_jax.programs.predict import run

if __name__ == "__main__":
    run()
