"""Each public name has a docstring, whose lists name exactly the parameters and attributes that exist."""

import dataclasses
import functools
import importlib
import inspect
import pkgutil
import re

import flax.linen as nn
import pytest

import gun_jax

# The programs, which define flags, and the inner parts of other modules, some of which need an extra.
INTERNAL = re.compile(r"gun_jax\.(programs|data\.synthetic\.|export\.(onnx|openvino|quiet)_)")
MODULES = ["gun_jax", *(module.name for module in pkgutil.walk_packages(gun_jax.__path__, "gun_jax."))]

every_module = pytest.mark.parametrize("module", [name for name in MODULES if not INTERNAL.match(name)])
GIVEN_BY_FLAX = {"parent", "name"}


def public_objects(module):
    """(name, object) of the functions, the classes and their methods that a module defines, or that it lists."""
    module = importlib.import_module(module)
    listed = getattr(module, "__all__", ())
    for name, member in vars(module).items():
        own = getattr(member, "__module__", None) == module.__name__ and not name.startswith("_")
        if (own or name in listed) and callable(member) and not isinstance(member, type(list[int])):
            yield name, member
            if inspect.isclass(member) and not getattr(member, "_is_protocol", False):
                yield from ((f"{name}.{part}", value) for part, value in public_methods(member))


def public_methods(owner):
    for name, value in vars(owner).items():
        if isinstance(value, classmethod | staticmethod | property | functools.cached_property):
            value = getattr(value, "fget", None) or getattr(value, "func", None) or value.__func__
        if inspect.isfunction(value) and value.__name__ != "<lambda>" and (name == "__call__" or name[0] != "_"):
            yield name, value


def listed(docstring, section):
    """The names in a section of a docstring, as "Args", or None where it has none."""
    text = inspect.cleandoc(docstring or "") + "\n"
    match = re.search(rf"^{section}:\n((?:[ ]+.*\n|\n)+)", text, flags=re.MULTILINE)
    if not match:
        return None
    assert match.end() == len(text) or match[1].endswith("\n\n"), text  # else a continued line is not indented
    lines = re.findall(r"^  (\S.*)", match[1], flags=re.MULTILINE)
    assert all(re.match(r"[^:]*\S:( |$)", line) for line in lines), lines
    return {name.strip(" *`") for line in lines for name in line.partition(":")[0].split(",")}


def parameters(function):
    taken = inspect.signature(function).parameters
    return {name for name in taken if name not in ("self", "cls")} - (
        GIVEN_BY_FLAX if inspect.isclass(function) and issubclass(function, nn.Module) else set()
    )


@every_module
def test_a_module_and_every_public_name_in_it_says_what_it_is(module):
    assert importlib.import_module(module).__doc__
    assert not [name for name, member in public_objects(module) if not inspect.getdoc(member)]


@every_module
def test_a_list_of_arguments_names_every_parameter_and_nothing_else(module):
    for name, member in public_objects(module):
        docstring = (member.__doc__ or "") if not inspect.isclass(member) else documented_construction(member)
        names = listed(docstring, "Args")
        listed(docstring, "Raises")
        assert names is None or names == parameters(member), f"{module}.{name}"


def documented_construction(owner):
    """The docstring that lists the arguments of a class: its own, or that of `__init__`."""
    own = owner.__doc__ or ""
    return own if listed(own, "Args") is not None else (owner.__init__.__doc__ or "")


@every_module
def test_a_list_of_attributes_names_every_field_and_nothing_else(module):
    for name, member in public_objects(module):
        if not dataclasses.is_dataclass(member):
            continue
        names = listed(member.__doc__, "Attributes")
        fields = {field.name for field in dataclasses.fields(member) if not field.name.startswith("_")}
        if issubclass(member, nn.Module):
            fields -= GIVEN_BY_FLAX
        assert names is None or names == fields, f"{module}.{name}"
