"""ONNX graphs as networks of torch: one submodule per node, so that layers have names and hooks work."""

from interpfer.models.onnx_graph.convert import convert_graph
from interpfer.models.onnx_graph.network import OnnxNetwork
from interpfer.models.onnx_graph.node import UnsupportedGraphError

__all__ = ["OnnxNetwork", "UnsupportedGraphError", "convert_graph"]
