"""Every operator gives what onnxruntime gives, in every opset that changed it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from interpfer.errors import ModelError
from interpfer.models.onnx_graph import UnsupportedGraphError, convert_graph
from interpfer.models.onnx_graph.convert import BUILDERS, OPSETS

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
helper = onnx.helper

IMAGE = (2, 3, 7, 6)
FLOAT = onnx.TensorProto.FLOAT


def values(*shape: int, low: float = -2.0) -> np.ndarray:
    generator = np.random.default_rng(len(shape))
    return generator.uniform(low, 2, shape).astype("f")


def ints(*items: int) -> np.ndarray:
    return np.array(items, dtype=np.int64)


def one(item: float) -> np.ndarray:
    return np.array(item, dtype="f")


def make(nodes: Sequence[Any], constants: dict[str, np.ndarray], opset: int, shape: Sequence[int] = IMAGE) -> Any:
    """A model from x to y."""
    tensors = [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
    x = helper.make_tensor_value_info("x", FLOAT, shape)
    graph = helper.make_graph(nodes, "g", [x], [helper.make_empty_tensor_value_info("y")], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8 if opset < 20 else 10
    return model


def require_same(model: Any, x: np.ndarray) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"x": x})
    with torch.no_grad():
        actual = convert_graph(model)(torch.from_numpy(x)).numpy()
    assert actual.dtype == expected.dtype
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


# name -> (operator, opsets, constant inputs after x, attributes)
CASES: dict[str, tuple[str, Sequence[int], list[np.ndarray | None], dict[str, Any]]] = {
    "conv": ("Conv", (7, 11, 21), [values(4, 3, 3, 3), values(4)], {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
    "conv, uneven": ("Conv", (11,), [values(4, 3, 3, 3)], {"pads": [0, 1, 2, 0]}),
    "conv, same": ("Conv", (11,), [values(4, 3, 3, 2), values(4)], {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "conv, same lower": ("Conv", (11,), [values(4, 3, 2, 2)], {"auto_pad": "SAME_LOWER"}),
    "conv, valid": ("Conv", (11,), [values(4, 3, 2, 2)], {"auto_pad": "VALID", "dilations": [2, 2]}),
    "conv, depthwise": ("Conv", (13,), [values(6, 1, 3, 3)], {"group": 3}),
    "transposed": ("ConvTranspose", (11,), [values(3, 2, 3, 3), values(2)],
                   {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}),
    "matmul": ("MatMul", (9, 13), [values(6, 5)], {}),
    "batch norm": ("BatchNormalization", (7, 9, 14, 15),
                   [values(3), values(3), values(3), values(3, low=0.5)], {"epsilon": 0.01}),
    "instance norm": ("InstanceNormalization", (7, 21), [values(3), values(3)], {"epsilon": 0.01}),
    "group norm": ("GroupNormalization", (21,), [values(3), values(3)], {"num_groups": 3}),
    "layer norm": ("LayerNormalization", (17,), [values(6), values(6)], {}),
    "layer norm, axis 2": ("LayerNormalization", (17,), [values(7, 6)], {"axis": 2, "epsilon": 0.1}),
    "lrn": ("LRN", (7, 13), [], {"size": 3, "alpha": 0.3, "beta": 0.6, "bias": 1.5}),
    "lp norm": ("LpNormalization", (7,), [], {"axis": 1, "p": 2}),
    "max pool": ("MaxPool", (8, 12), [], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "max pool, uneven": ("MaxPool", (12,), [], {"kernel_shape": [2, 2], "pads": [0, 0, 1, 1]}),
    "max pool, ceil": ("MaxPool", (10,), [], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
    "max pool, same": ("MaxPool", (11,), [], {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    "max pool, dilated": ("MaxPool", (10,), [], {"kernel_shape": [2, 2], "dilations": [2, 2]}),
    "mean pool": ("AveragePool", (7, 11), [], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
    "mean pool, border": ("AveragePool", (11, 19), [],
                          {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}),
    "mean pool, ceil": ("AveragePool", (19,), [], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
    "mean pool, same": ("AveragePool", (11,), [],
                        {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_LOWER"}),
    "mean pool, uneven": ("AveragePool", (11,), [], {"kernel_shape": [2, 2], "pads": [1, 0, 0, 0]}),
    "global mean": ("GlobalAveragePool", (7,), [], {}),
    "global max": ("GlobalMaxPool", (7,), [], {}),
    "clip": ("Clip", (7,), [], {"min": -0.5, "max": 1.0}),
    "clip, inputs": ("Clip", (11, 13), [one(-0.5), one(1)], {}),
    "clip, high": ("Clip", (12,), [None, one(1)], {}),
    "clip, relu6": ("Clip", (11,), [one(0), one(6)], {}),
    "clip, nothing": ("Clip", (11,), [], {}),
    "dropout": ("Dropout", (7, 10), [], {"ratio": 0.4}),
    "dropout, inputs": ("Dropout", (13,), [one(0.4)], {}),
    "elu": ("Elu", (7,), [], {"alpha": 0.7}),
    "celu": ("Celu", (12,), [], {"alpha": 0.7}),
    "selu": ("Selu", (7,), [], {}),
    "gelu": ("Gelu", (20,), [], {}),
    "gelu, tanh": ("Gelu", (20,), [], {"approximate": "tanh"}),
    "hard sigmoid": ("HardSigmoid", (7,), [], {}),
    "hard sigmoid, alpha": ("HardSigmoid", (13,), [], {"alpha": 1 / 6}),
    "hard swish": ("HardSwish", (14,), [], {}),
    "leaky relu": ("LeakyRelu", (7, 16), [], {"alpha": 0.3}),
    "mish": ("Mish", (18,), [], {}),
    "prelu": ("PRelu", (7, 9, 16), [values(3, 1, 1)], {}),
    "relu": ("Relu", (7, 14), [], {}),
    "sigmoid": ("Sigmoid", (7,), [], {}),
    "softplus": ("Softplus", (7,), [], {}),
    "softsign": ("Softsign", (7,), [], {}),
    "tanh": ("Tanh", (7,), [], {}),
    "thresholded": ("ThresholdedRelu", (10,), [], {"alpha": 0.4}),
    "softmax": ("Softmax", (7, 11, 13), [], {}),
    "softmax, axis": ("Softmax", (11, 13), [], {"axis": 2}),
    "log softmax": ("LogSoftmax", (7, 13), [], {"axis": 1}),
    "add": ("Add", (7, 14), [values(3, 1, 1)], {}),
    "sub": ("Sub", (7,), [values(1, 6)], {}),
    "mul": ("Mul", (7,), [values(2, 3, 1, 1)], {}),
    "div": ("Div", (7,), [one(3)], {}),
    "pow": ("Pow", (7, 13), [one(2)], {}),
    "pow, integer": ("Pow", (12,), [ints(3)], {}),
    "max": ("Max", (8,), [values(6), one(0)], {}),
    "min": ("Min", (8,), [values(6)], {}),
    "sum": ("Sum", (8,), [values(6), values(3, 1, 1)], {}),
    "mean": ("Mean", (8,), [values(6)], {}),
    "mod": ("Mod", (13,), [one(0.7)], {"fmod": 1}),
    "equal": ("Equal", (11,), [one(0)], {}),
    "greater": ("Greater", (9,), [one(0)], {}),
    "greater or equal": ("GreaterOrEqual", (12,), [one(0)], {}),
    "less": ("Less", (9,), [one(0)], {}),
    "less or equal": ("LessOrEqual", (12,), [one(0)], {}),
    "reduce mean": ("ReduceMean", (7, 11), [], {"axes": [2, 3]}),
    "reduce mean, input": ("ReduceMean", (18,), [ints(2, -1)], {"keepdims": 0}),
    "reduce mean, all": ("ReduceMean", (7, 18), [], {}),
    "reduce sum": ("ReduceSum", (11,), [], {"axes": [1], "keepdims": 0}),
    "reduce sum, input": ("ReduceSum", (13,), [ints(1)], {}),
    "reduce sum, nothing": ("ReduceSum", (13,), [], {"noop_with_empty_axes": 1}),
    "reduce max": ("ReduceMax", (7, 13), [], {"axes": [-1]}),
    "reduce min": ("ReduceMin", (13,), [], {"axes": [1, 2]}),
    "reduce prod": ("ReduceProd", (13,), [], {"axes": [2, 3]}),
    "reduce l1": ("ReduceL1", (13,), [], {"axes": [1]}),
    "reduce l2": ("ReduceL2", (13,), [], {"axes": [1]}),
    "reduce squares": ("ReduceSumSquare", (13,), [], {"axes": [1]}),
    "reduce log sum exp": ("ReduceLogSumExp", (13,), [], {"axes": [1, 3]}),
    "argmax": ("ArgMax", (7, 13), [], {"axis": 1, "keepdims": 0}),
    "argmin": ("ArgMin", (13,), [], {"axis": -1}),
    "flatten": ("Flatten", (7, 13), [], {}),
    "flatten, axis": ("Flatten", (11,), [], {"axis": -1}),
    "reshape": ("Reshape", (7, 14), [ints(0, 3, -1)], {}),
    "transpose": ("Transpose", (7,), [], {"perm": [0, 2, 3, 1]}),
    "transpose, all": ("Transpose", (7,), [], {}),
    "unsqueeze": ("Unsqueeze", (7,), [], {"axes": [1, 5]}),
    "unsqueeze, input": ("Unsqueeze", (13,), [ints(-1)], {}),
    "expand": ("Expand", (8,), [ints(4, 1, 1, 1, 1)], {}),
    "tile": ("Tile", (7,), [ints(1, 2, 1, 3)], {}),
    "concat": ("Concat", (7,), [values(2, 3, 7, 6)], {"axis": 1}),
    "slice": ("Slice", (7,), [], {"starts": [1, -3], "ends": [99, -1], "axes": [1, 3]}),
    "slice, inputs": ("Slice", (10, 13), [ints(0, 1), ints(9, 6), ints(2, -1), ints(2, 3)], {}),
    "slice, backwards": ("Slice", (11,), [ints(-1), ints(-(2**62)), ints(3), ints(-2)], {}),
    "gather": ("Gather", (7, 13), [ints(2, 0, -1)], {"axis": 1}),
    "gather, one": ("Gather", (13,), [np.array(1, dtype=np.int64)], {"axis": 2}),
    "gather elements": ("GatherElements", (11,), [np.zeros((2, 3, 7, 2), np.int64)], {"axis": 3}),
    "cast": ("Cast", (9,), [], {"to": 6}),
    "identity": ("Identity", (7, 16), [], {}),
    "pad": ("Pad", (7,), [], {"pads": [0, 0, 1, 2, 0, 0, 3, 0], "value": 0.5}),
    "pad, inputs": ("Pad", (11, 13), [ints(0, 0, 1, 2, 0, 1, 3, 0), one(0.5)], {}),
    "pad, axes": ("Pad", (18,), [ints(1, 2), None, ints(-1)], {}),
    "pad, reflect": ("Pad", (11,), [ints(0, 0, 1, 2, 0, 0, 3, 0)], {"mode": "reflect"}),
    "pad, edge": ("Pad", (11,), [ints(0, 0, 1, 2, 0, 0, 3, 0)], {"mode": "edge"}),
    "depth to space": ("DepthToSpace", (11,), [], {"blocksize": 2}),
    "depth to space, crd": ("DepthToSpace", (11,), [], {"blocksize": 2, "mode": "CRD"}),
    "space to depth": ("SpaceToDepth", (7,), [], {"blocksize": 2}),
    "scatter": ("ScatterND", (11,), [np.array([[[0, 1]], [[1, 2]]], np.int64), values(2, 1, 7, 6)], {}),
    "upsample": ("Upsample", (9,), [np.array([1, 1, 2, 2], "f")], {"mode": "nearest"}),
    "upsample, attribute": ("Upsample", (7,), [], {"mode": "nearest", "scales": [1.0, 1.0, 2.0, 3.0]}),
    "resize": ("Resize", (11, 13), [np.zeros(0, "f"), np.array([1, 1, 2, 2], "f")], {"mode": "linear"}),
    "resize, corners": ("Resize", (13,), [None, None, ints(2, 3, 4, 9)],
                        {"mode": "linear", "coordinate_transformation_mode": "align_corners"}),
    "resize, nearest": ("Resize", (11,), [np.zeros(0, "f"), np.array([1, 1, 2, 2], "f")],
                        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}),
    **{f"{name}, plain": (name, (13,), [], {}) for name in
       ("Abs", "Ceil", "Cos", "Erf", "Exp", "Floor", "Neg", "Round", "Sign", "Sin", "Sinh", "Cosh", "Atan", "Tan")},
}  # fmt: skip

SHAPES = {"depth to space": (2, 8, 3, 4), "depth to space, crd": (2, 8, 3, 4), "space to depth": (2, 3, 4, 6)}


@pytest.mark.parametrize("case", CASES)
def test_an_operator_gives_what_onnxruntime_gives(case: str) -> None:
    operator, opsets, constants, attributes = CASES[case]
    shape = SHAPES.get(case, IMAGE)
    names = ["x", *("" if value is None else f"c{i}" for i, value in enumerate(constants))]
    held = {f"c{i}": value for i, value in enumerate(constants) if value is not None}
    for opset in opsets:
        model = make([helper.make_node(operator, names, ["y"], **attributes)], held, opset, shape)
        require_same(model, values(*shape))


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


# name -> (nodes from x to y, constants, opsets, shape of x)
CHAINS: dict[str, tuple[list[Any], dict[str, np.ndarray], Sequence[int], Sequence[int]]] = {
    "gemm": ([node("Gemm", "x w b", "y", transB=1)], {"w": values(5, 6), "b": values(5)}, (7, 9, 13), (4, 6)),
    "gemm, scaled": ([node("Gemm", "x w b", "y", alpha=0.3, beta=2.0)], {"w": values(6, 5), "b": values(1, 5)},
                     (9,), (4, 6)),
    "gemm, untransposed": ([node("Gemm", "x w", "y")], {"w": values(6, 5)}, (11,), (4, 6)),
    "gemm, row": ([node("Gemm", "x w b", "y")], {"w": values(6, 5), "b": values(1, 5)}, (11,), (4, 6)),
    "reciprocal": ([node("Abs", "x", "a"), node("Add", "a c", "b"), node("Sqrt", "b", "s"), node("Log", "s", "l"),
                    node("Add", "l c", "m"), node("Reciprocal", "m", "y")], {"c": one(1)}, (13,), IMAGE),
    "dynamic reshape": ([node("Shape", "x", "s"), node("Gather", "s i", "n", axis=0), node("Unsqueeze", "n", "u",
                         axes=[0]), node("Concat", "u r", "t", axis=0), node("Reshape", "x t", "y")],
                        {"i": np.array(0, np.int64), "r": ints(-1, 6)}, (11,), IMAGE),
    "integer division": ([node("Shape", "x", "s"), node("Div", "s c", "d"), node("ConstantOfShape", "d", "y")],
                         {"c": ints(2, 2, 2, 2)}, (11,), IMAGE),
    "filled": ([node("Shape", "x", "s"), node("ConstantOfShape", "s", "f", value=helper.make_tensor(
                "v", FLOAT, [1], [3.0])), node("Mul", "f x", "y")], {}, (9,), IMAGE),
    "range": ([node("Shape", "x", "s"), node("Gather", "s i", "n"), node("Range", "z n o", "r"),
               node("Cast", "r", "y", to=1)],
              {name: np.array(item, np.int64) for name, item in (("i", 2), ("z", 0), ("o", 1))}, (11,), IMAGE),
    "where": ([node("Greater", "x c", "g"), node("Not", "g", "n"), node("And", "g g", "a"), node("Or", "a n", "o"),
               node("Xor", "o n", "k"), node("Where", "k x c", "y")], {"c": one(0.2)}, (11,), IMAGE),
    "split": ([node("Split", "x", "a b", axis=3), node("Sub", "b a", "y")], {}, (7, 11, 13), IMAGE),
    "split, sizes": ([node("Split", "x", "a b c", axis=2, split=[2, 4, 1]), node("Concat", "c b a", "y", axis=2)], {},
                     (11,), IMAGE),
    "split, input": ([node("Split", "x s", "a b", axis=2), node("Concat", "b a", "y", axis=-2)], {"s": ints(3, 4)},
                     (13,), IMAGE),
    "split, uneven": ([node("Split", "x", "a b", axis=2, num_outputs=2), node("Concat", "b a", "y", axis=2)], {},
                      (18,), IMAGE),
    "squeeze": ([node("ReduceMean", "x", "r", axes=[2, 3]), node("Squeeze", "r", "y", axes=[2, 3])], {}, (7,), IMAGE),
    "squeeze, input": ([node("ReduceMax", "x", "r", axes=[2]), node("Squeeze", "r a", "y")], {"a": ints(-2)}, (13,),
                       IMAGE),
    "squeeze, all": ([node("GlobalMaxPool", "x", "r"), node("Squeeze", "r", "y")], {}, (13,), IMAGE),
    "einsum": ([node("Einsum", "x w", "y", equation="nchw,cd->ndhw")], {"w": values(3, 4)}, (12,), IMAGE),
    "matmul of two": ([node("Transpose", "x", "t", perm=[0, 1, 3, 2]), node("MatMul", "x t", "y")], {}, (9,), IMAGE),
    "shared by Identity": ([node("Identity", "w", "v"), node("Conv", "x w", "a"), node("Conv", "a v", "y")],
                           {"w": values(3, 3, 1, 1)}, (13,), IMAGE),
    "made of constants": ([node("Constant", "", "k", value_floats=[1.0, 2.0, 3.0]), node("Unsqueeze", "k a", "u"),
                           node("Mul", "x u", "y")], {"a": ints(1, 2)}, (13,), IMAGE),
    "constants": ([node("Constant", "", "k", value_float=2.0), node("Constant", "", "i", value_ints=[0, -1]),
                   node("Mul", "x k", "m"), node("Reshape", "m i", "y")], {}, (13,), IMAGE),
    "size": ([node("Size", "x", "s"), node("CastLike", "s x", "f"), node("Div", "x f", "y")], {}, (15,), IMAGE),
    "slice of a shape": ([node("Shape", "x", "s", start=1, end=3), node("Cast", "s", "y", to=1)], {}, (15,), IMAGE),
    "dropout with its mask": ([node("Dropout", "x", "d m"), node("Cast", "m", "f", to=1), node("Mul", "d f", "y")],
                              {}, (12,), IMAGE),
    "clip by a value": ([node("ReduceMax", "x", "m", keepdims=0), node("Mul", "m h", "l"),
                         helper.make_node("Clip", ["x", "", "l"], ["y"])],
                        {"h": one(0.5)}, (13,), IMAGE),
    "global lp": ([node("Abs", "x", "a"), node("ReduceLogSum", "a", "y", axes=[1])], {}, (13,), IMAGE),
    "arcs": ([node("Tanh", "x", "t"), node("Acos", "t", "a"), node("Asin", "t", "b"), node("Mul", "a b", "y")], {},
             (13,), IMAGE),
    "isnan": ([node("IsNaN", "x", "n"), node("Cast", "n", "y", to=1)], {}, (13,), IMAGE),
}  # fmt: skip


@pytest.mark.parametrize("case", CHAINS)
def test_a_chain_gives_what_onnxruntime_gives(case: str) -> None:
    nodes, constants, opsets, shape = CHAINS[case]
    for opset in opsets:
        require_same(make(nodes, constants, opset, shape), values(*shape))


def test_every_operator_is_tested() -> None:
    tested = {operator for operator, *_ in CASES.values()}
    tested |= {each.op_type for nodes, *_ in CHAINS.values() for each in nodes}
    assert set(BUILDERS) - tested == {"Swish"}  # of opset 24, which onnxruntime does not have everywhere


def branch(nodes: list[Any], result: str, **constants: np.ndarray) -> Any:
    tensors = [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
    return helper.make_graph(nodes, "branch", [], [helper.make_empty_tensor_value_info(result)], tensors)


def test_a_condition_runs_the_branch_that_it_chooses() -> None:
    """As torch exports ``squeeze``: a branch for an axis of length 1, another for the others."""
    branches = {
        "then_branch": branch([node("Mul", "x two", "a")], "a", two=one(2)),
        "else_branch": branch([node("Relu", "x", "b"), node("Add", "b c", "d")], "d"),
    }
    nodes = [
        node("Shape", "x", "s"), node("Gather", "s i", "n"), node("Equal", "n o", "q"),
        node("If", "q", "k", **branches), node("Add", "k x", "y"),
    ]  # fmt: skip
    constants = {"i": np.array(0, np.int64), "o": np.array(1, np.int64), "c": values(6)}
    model = make(nodes, constants, 13, ["n", 3, 7, 6])
    for count in (1, 2):
        require_same(model, values(count, 3, 7, 6))
    always = [node("If", "t", "k", **branches), node("Add", "k x", "y")]
    for is_true in (True, False):
        require_same(make(always, constants | {"t": np.array(is_true)}, 13), values(*IMAGE))
    constant = {"then_branch": branch([], "z", z=values(6)), "else_branch": branch([node("Identity", "x", "e")], "e")}
    network = convert_graph(make([*nodes[:3], node("If", "q", "k", **constant), nodes[4]], constants, 13))
    assert network(torch.zeros(1, 3, 7, 6)).shape == (1, 3, 7, 6)


def test_weights_stay_shared_and_trainable() -> None:
    network = convert_graph(make(*CHAINS["shared by Identity"][:2], 13))
    first, second = (module.weight for module in network.children())
    assert first is second
    assert first.requires_grad


@pytest.mark.parametrize(
    ("nodes", "opset", "message"),
    [
        ([node("TopK", "x c", "y z")], 11, r"operator TopK \(opset 11\)"),
        ([helper.make_node("FusedConv", ["x", "w"], ["y"], domain="com.microsoft")], 13,
         r"operator com\.microsoft\.FusedConv \(opset 13\)"),
        ([node("QuantizeLinear", "x c", "y")], 13, r"values quantised to integers \(operator QuantizeLinear\)"),
        ([node("Relu", "x", "y")], 6, r"opset 6 \(of 7 to 26\)"),
        ([node("MaxPool", "x", "y z", kernel_shape=[2, 2])], 12, r"operator MaxPool of several outputs"),
        ([node("Resize", "x x c", "y", mode="linear", coordinate_transformation_mode="asymmetric")], 11,
         "operator Resize with coordinate_transformation_mode asymmetric"),
        ([node("Conv", "x x", "y")], 11, "operator Conv whose weights depend on the image"),
        ([node("Identity", "c", "y")], 11, "an output that does not depend on the image"),
    ],
)  # fmt: skip
def test_what_is_not_translated_is_named(nodes: list[Any], opset: int, message: str) -> None:
    with pytest.raises(UnsupportedGraphError, match=message):
        convert_graph(make(nodes, {"c": np.array([1, 1, 2, 2], "f"), "w": values(3, 3, 1, 1)}, opset))


def test_a_tensor_that_is_too_large_is_not_made() -> None:
    huge = {"c": ints(1 << 20, 1 << 20)}
    with pytest.raises(ModelError, match="a tensor of 1048576 x 1048576 values, more than interpfer reads"):
        convert_graph(make([node("ConstantOfShape", "c", "f"), node("Add", "x f", "y")], huge, 11))
    nodes = [node("Shape", "x", "s"), node("Mul", "s c", "m"), node("ConstantOfShape", "m", "y")]
    network = convert_graph(make(nodes, {"c": ints(999, 999, 999, 999)}, 11))
    with pytest.raises(ModelError, match="more than interpfer reads"):
        network(torch.zeros(IMAGE))


def test_opsets_that_the_tests_cover() -> None:
    assert OPSETS[0] == 7
    assert {opset for _, opsets, *_ in CASES.values() for opset in opsets} >= {7, 8, 9, 10, 11, 12, 13, 14, 18, 20, 21}
