"""Compiles the calls against the headers of the JAX and the oneDNN that are installed."""

from importlib import metadata
from pathlib import Path

import jax.ffi
from setuptools import Extension, setup


def folder(package: str, file: str) -> str:
    return str(
        next(Path(path.locate()) for path in metadata.files(package) if str(path).endswith(file)).resolve().parent
    )


setup(
    ext_modules=[
        Extension(
            "gun_jax_onednn._calls",
            ["gun_jax_onednn/calls.cc"],
            include_dirs=[jax.ffi.include_dir(), folder("onednn-devel-cpu-gomp", "/include/dnnl.hpp")],
            library_dirs=[folder("onednn-cpu-gomp", "/libdnnl.so")],
            libraries=["dnnl"],
            extra_compile_args=["-std=c++17", "-O2", "-w"],
            extra_link_args=["-Wl,-rpath,$ORIGIN/../../.."],
            language="c++",
        )
    ]
)
