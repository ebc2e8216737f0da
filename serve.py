#!/usr/bin/env python3
"""Serves a web page that segments images and videos: `python serve.py --help`, gun_jax/programs/serve.py."""

from gun_jax.programs.serve import run

if __name__ == "__main__":
    run()
