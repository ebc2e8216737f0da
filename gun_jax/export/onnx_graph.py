"""Converts traced functions to ONNX graphs, one operation of the jaxpr after the other.

Operations on the input become nodes, if they are among those of the networks; all others are computed while
converting. Maps, the arrays with four axes, are (B, H, W, C) in the jaxpr and (B, C, H, W) in the graph.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from jax.extend import core
from onnx import TensorProto, helper, numpy_helper

from gun_jax.errors import InputError
from gun_jax.ops.dispatch import plain_ops
from gun_jax.ops.resizing import bilinear_resize, resize

OPSET = 18  # the first in which Resize has axes
_IR_VERSION = 10  # readers of this opset know it
_TO_NCHW = (0, 3, 1, 2)
_AXIS = {0: 0, 1: 2, 2: 3, 3: 1}  # from a map's axis in JAX to its axis in the graph
_TYPES = {
    np.dtype(np.uint8): TensorProto.UINT8,
    np.dtype(np.int32): TensorProto.INT32,
    np.dtype(np.int64): TensorProto.INT64,
    np.dtype(np.float32): TensorProto.FLOAT,
}
_BINARY = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "max": "Max", "min": "Min"}


class Graph:
    """An ONNX graph under construction. Tensors are strings, their names; names of nodes contain the module."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._count = 0

    def add(self, kind: str, inputs: Sequence[str], where: str = "", **attributes: Any) -> str:
        """Adds a node with one result, and returns the name of the result."""
        self._count += 1
        name = f"{where}/{kind}_{self._count}" if where else f"{kind}_{self._count}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def name_output(self, tensor: str, name: str) -> None:
        """Renames the result of the last node to an output of the graph."""
        assert list(self._nodes[-1].output) == [tensor]
        self._nodes[-1].output[:] = [name]

    def constant(self, value: np.ndarray) -> str:
        """Adds a constant, and returns its name."""
        name = f"constant_{len(self._constants) + 1}"
        self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def finish(self, inputs: dict[str, tuple], outputs: dict[str, tuple]) -> onnx.ModelProto:
        """The checked model. Inputs and outputs are (dtype, shape) by tensor; a string in a shape is any size."""
        taken, given = (
            [helper.make_tensor_value_info(name, _TYPES[np.dtype(dtype)], shape) for name, (dtype, shape) in of.items()]
            for of in (inputs, outputs)
        )
        graph = helper.make_graph(self._nodes, "gun_jax", taken, given, initializer=list(self._constants.values()))
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR_VERSION, producer_name="gun_jax"
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def convert(
    graph: Graph, function: Callable[..., Any], name: str, example: jax.ShapeDtypeStruct
) -> list[tuple[str, tuple[int, ...]]]:
    """Adds the operations of a function to a graph.

    Args:
      graph: to add to.
      function: from a map, (B, H, W, C), to maps.
      name: tensor of the map in the graph, (B, C, H, W).
      example: the map's shape and dtype.

    Returns:
      For each result, the name of its tensor in the graph, (B, C, H, W), and its shape in JAX, (B, H, W, C).

    Raises:
      InputError: the function has an operation that is not supported.
    """
    with plain_ops():
        closed = jax.make_jaxpr(function)(example)
    results = _Interpreter(graph).run(closed.jaxpr, closed.consts, [name], "")
    return list(zip(results, (shape.shape for shape in closed.out_avals), strict=True))


class _Interpreter:
    """Evaluates a jaxpr: computes constants (NumPy arrays), and adds nodes for tensors of the graph (names)."""

    def __init__(self, graph: Graph):
        self._graph = graph

    def run(self, jaxpr: core.Jaxpr, constants: Sequence, arguments: Sequence, outer: str) -> list:
        values: dict[core.Var, Any] = dict(zip(jaxpr.constvars, map(np.asarray, constants), strict=True))
        values |= dict(zip(jaxpr.invars, arguments, strict=True))

        def read(atom: Any) -> Any:
            return np.asarray(atom.val) if isinstance(atom, core.Literal) else values[atom]

        for equation in jaxpr.eqns:
            where = "/".join(part for part in (outer, str(equation.source_info.name_stack)) if part)
            results = self._equation(equation, [read(atom) for atom in equation.invars], where)
            values |= dict(zip(equation.outvars, results, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _equation(self, equation: Any, inputs: list, where: str) -> list:
        kind = equation.primitive.name
        params = equation.params
        if kind == "jit" and params["name"] == bilinear_resize.__name__ and isinstance(inputs[0], str):
            source, target = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
            return [self._resize(inputs[0], source, target, where)]
        inner = params.get("jaxpr") or params.get("call_jaxpr")
        if inner is not None:
            return self.run(inner.jaxpr, inner.consts, inputs, where)
        if kind == "broadcast_in_dim" and not isinstance(inputs[0], str):
            return [_spread(inputs[0], len(params["shape"]), params["broadcast_dimensions"])]
        if not any(isinstance(value, str) for value in inputs):
            results = equation.primitive.bind(*inputs, **params)
            return [np.asarray(one) for one in (results if equation.primitive.multiple_results else [results])]
        rule = getattr(self, f"_{kind}", None)
        if kind in _BINARY:
            rule = functools.partial(self._binary, _BINARY[kind])
        if rule is None:
            raise _unsupported(kind, where)
        return [rule(inputs, params, where, equation)]

    def _name(self, value: Any) -> str:
        """The tensor of an operand; a constant is added to the graph."""
        if isinstance(value, str):
            return value
        return self._graph.constant(value.transpose(_TO_NCHW) if value.ndim == 4 else value)

    def _binary(self, kind: str, inputs: list, params: dict, where: str, _: Any) -> str:
        if kind == "Mul" and any(not isinstance(value, str) and (value == 1).all() for value in inputs):
            return next(value for value in inputs if isinstance(value, str))
        if kind == "Max" and any(not isinstance(value, str) and (value == 0).all() for value in inputs):
            return self._graph.add("Relu", [next(value for value in inputs if isinstance(value, str))], where)
        return self._graph.add(kind, [self._name(value) for value in inputs], where)

    def _conv_general_dilated(self, inputs: list, params: dict, where: str, equation: Any) -> str:
        x, kernel = inputs
        form = params["dimension_numbers"]
        plain = params["batch_group_count"] == 1 == max(params["lhs_dilation"])
        if (form.lhs_spec, form.rhs_spec, form.out_spec) != (_TO_NCHW, (3, 2, 0, 1), _TO_NCHW) or not plain:
            raise _unsupported("a convolution with a grouped batch, a dilated input or another layout than NHWC", where)
        (top, bottom), (left, right) = params["padding"]
        return self._graph.add(
            "Conv",
            [x, self._graph.constant(kernel.transpose(3, 2, 0, 1))],
            where,
            group=params["feature_group_count"],
            kernel_shape=kernel.shape[:2],
            strides=params["window_strides"],
            dilations=params["rhs_dilation"],
            pads=[top, left, bottom, right],
        )

    def _resize(self, x: str, source: tuple[int, ...], target: tuple[int, ...], where: str) -> str:
        """Adds `gun_jax.ops.resizing.resize`: as Resize only to enlarge, because not every reader antialiases."""
        if target[1] >= source[1] and target[2] >= source[2]:
            sizes = self._graph.constant(np.asarray(target[1:3], np.int64))
            return self._graph.add("Resize", [x, "", "", sizes], where, mode="linear", axes=[2, 3])
        rows, columns = (_resizing(source[axis], target[axis]) for axis in (1, 2))
        if source[1:3] == (2 * target[1], 2 * target[2]):
            return self._halve(x, source[3], rows, columns, where)
        across = self._graph.add("MatMul", [x, self._graph.constant(columns.T)], where)
        return self._graph.add("MatMul", [self._graph.constant(rows), across], where)

    def _halve(self, x: str, channels: int, rows: np.ndarray, columns: np.ndarray, where: str) -> str:
        """Halves by a convolution whose sums at the edges are then corrected to those of the matrices."""
        weights = np.asarray([1, 3, 3, 1], np.float32) / 8
        kernel = np.tile(weights[:, None] * weights, (channels, 1, 1, 1))
        sums = self._graph.add(
            "Conv", [x, self._graph.constant(kernel)], where, group=channels, strides=[2, 2], pads=[1, 1, 1, 1]
        )
        # The inner weight is 3/8 in the convolution. Its value in a row of the matrix tells how that row is normalised.
        down, across = (
            matrix[np.arange(len(matrix)), 2 * np.arange(len(matrix))] / weights[1] for matrix in (rows, columns)
        )
        scale = (down[:, None] * across).astype(np.float32)
        return self._graph.add("Mul", [sums, self._graph.constant(scale)], where)

    def _convert_element_type(self, inputs: list, params: dict, where: str, equation: Any) -> str:
        if equation.invars[0].aval.dtype == params["new_dtype"]:
            return inputs[0]
        return self._graph.add("Cast", inputs, where, to=_TYPES[np.dtype(params["new_dtype"])])

    def _concatenate(self, inputs: list, params: dict, where: str, _: Any) -> str:
        return self._graph.add(
            "Concat", [self._name(value) for value in inputs], where, axis=_AXIS[params["dimension"]]
        )

    def _pad(self, inputs: list, params: dict, where: str, _: Any) -> str:
        x, value = inputs
        before, after, between = zip(*params["padding_config"], strict=True)
        if any(between) or isinstance(x, np.ndarray) or value != 0:
            raise _unsupported("padding with other numbers than 0, or inside a map", where)
        pads = [sides[axis] for sides in (before, after) for axis in _TO_NCHW]
        return self._graph.add("Pad", [x, self._graph.constant(np.asarray(pads, np.int64))], where)

    def _reduce_sum(self, inputs: list, params: dict, where: str, _: Any) -> str:
        """A sum over rows and columns; they stay as axes of 1 in the graph."""
        if tuple(params["axes"]) != (1, 2):
            raise _unsupported("a sum over other axes than rows and columns", where)
        axes = self._graph.constant(np.asarray([2, 3], np.int64))
        return self._graph.add("ReduceSum", [inputs[0], axes], where, keepdims=1)

    def _broadcast_in_dim(self, inputs: list, params: dict, where: str, equation: Any) -> str:
        source, target = equation.invars[0].aval.shape, params["shape"]
        if len(source) == 2 and tuple(params["broadcast_dimensions"]) == (0, 3) and target[1:3] == (1, 1):
            return inputs[0]  # after `_reduce_sum`, which keeps the axes
        if len(source) != 4 or source[0] != target[0]:
            raise _unsupported("an array broadcast to a map", where)
        if source == target:
            return inputs[0]
        sizes = self._graph.constant(np.asarray([1, *(target[axis] for axis in _TO_NCHW[1:])], np.int64))
        return self._graph.add("Expand", [inputs[0], sizes], where)


def _unsupported(what: str, where: str) -> InputError:
    return InputError(
        f"ONNX export: {what} at {where or 'the top'} is not supported; expected convolutions, sums, products, "
        "concatenations and resizing of maps: leave it out, or export to StableHLO"
    )


def _resizing(source: int, target: int) -> np.ndarray:
    """The matrix that resizes one axis, float32 (target, source)."""
    identity = jnp.eye(source)[None, ..., None]
    return np.asarray(resize(identity, (target, source)))[0, ..., 0]


def _spread(value: np.ndarray, axes: int, to: Sequence[int]) -> np.ndarray:
    """Reshapes a constant for `broadcast_in_dim`: its new axes have size 1, which ONNX broadcasts."""
    shape = [1] * axes
    for axis, length in zip(to, value.shape, strict=True):
        shape[axis] = length
    return value.reshape(shape)
