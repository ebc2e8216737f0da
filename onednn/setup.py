"""Compiles the calls against the headers of the JAX and the oneDNN that are installed."""

import sysconfig

import jax.ffi
from setuptools import Extension, setup

prefix = sysconfig.get_path("data")  # where oneDNN's packages put include/ and lib/

setup(
    ext_modules=[
        Extension(
            "gun_jax_onednn._calls",
            ["gun_jax_onednn/calls.cc"],
            include_dirs=[jax.ffi.include_dir(), f"{prefix}/include"],
            library_dirs=[f"{prefix}/lib"],
            libraries=["dnnl"],
            extra_compile_args=["-std=c++17", "-O2", "-w"],
            extra_link_args=[f"-Wl,-rpath,{prefix}/lib"],
            language="c++",
        )
    ]
)
