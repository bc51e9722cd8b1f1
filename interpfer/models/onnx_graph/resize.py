"""Resizing of images."""

from torch import Tensor, nn
from torch.nn import functional as F

from interpfer.models.onnx_graph.activation import Module
from interpfer.models.onnx_graph.node import Node, check_size

MODES = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}
"""Mode of ONNX -> mode of torch for images."""


def _resize(
    x: Tensor,
    *,
    scales: tuple[float, ...] | None,
    sizes: tuple[int, ...] | None,
    mode: str,
    has_corners: bool,
    is_smoothed: bool,
) -> Tensor:
    if sizes is None:
        assert scales is not None
        sizes = tuple(int(size * scale) for size, scale in zip(x.shape[-2:], scales, strict=True))
    check_size([*x.shape[:2], *sizes])
    if mode.startswith("nearest"):
        return F.interpolate(x, sizes, mode=mode)
    return F.interpolate(x, sizes, mode=mode, align_corners=has_corners, antialias=is_smoothed)


def _build_resize(node: Node) -> nn.Module:
    """Resize has scales or sizes; Upsample, its predecessor, and opset 10 have scales alone."""
    is_new = node.operator == "Resize" and node.opset >= 11
    place = 2 if is_new else 1
    scales = tuple(node.get("scales", ())) or _floats(node, place)
    sizes = node.integers("sizes", 3) if is_new else None
    axes = node.get("axes")
    if axes and [axis % 4 for axis in axes] != [2, 3]:
        raise node.error(f"over the axes {axes}")
    if not scales and not sizes:
        raise node.error("whose size depends on the image")
    if scales and not axes and scales[:2] != (1.0, 1.0):
        raise node.error("over channels")
    mode = node.get("mode", "nearest")
    transform = node.get("coordinate_transformation_mode", "half_pixel" if is_new else "asymmetric")
    return Module(
        _resize, node, scales=scales[-2:] if scales else None, sizes=sizes[-2:] if sizes else None,
        mode=_find_mode(node, mode, transform), has_corners=transform == "align_corners",
        is_smoothed=bool(node.get("antialias", 0)),
    )  # fmt: skip


def _floats(node: Node, position: int) -> tuple[float, ...]:
    if not node.has_input(position):
        return ()
    value = node.constant(position)
    if value is None:
        raise node.error("whose scales depend on the image")
    return tuple(float(item) for item in value.reshape(-1).tolist())


def _find_mode(node: Node, mode: str, transform: str) -> str:
    """Return the mode of torch; the proof against onnxruntime decides whether it is the right one."""
    if mode not in MODES:
        raise node.error(f"of mode {mode}")
    if mode == "nearest":
        return "nearest" if transform == "asymmetric" else "nearest-exact"
    if transform not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        raise node.error(f"with coordinate_transformation_mode {transform}")
    return MODES[mode]


BUILDERS = {"Resize": _build_resize, "Upsample": _build_resize}
"""Operator -> function that builds its module."""
