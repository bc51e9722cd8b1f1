"""Rules of relevance propagation for normalisation and attention, and the table of all rules."""

from typing import Any

import torch
import torch.nn.functional as F

from interpfer.maps.relevance_rules import (
    ARITHMETIC,
    RelevanceRules,
    Rule,
    add_rule,
    linear_rule,
    softmax_rule,
    split_relevance,
)


def _batch_norm(
    rules: RelevanceRules,
    func: Any,
    x: Any,
    mean: Any,
    variance: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    output = func(x, mean, variance, weight, bias, training, momentum, eps)
    if training or mean is None:
        return output
    scale = (variance + eps).rsqrt() * (1 if weight is None else weight)
    constant = (0 if bias is None else bias) - mean * scale
    return rules.keep(output, constant.view(-1, *(1,) * (x.dim() - 2)))


def _normalise(x: Any, dims: tuple[int, ...], eps: float, centred: bool = True) -> Any:
    """Divide by the standard deviation, a constant."""
    moved = x - x.mean(dims, keepdim=True) if centred else x
    return moved * (moved.detach().square().mean(dims, keepdim=True) + eps).rsqrt()


def _layer_norm(
    rules: RelevanceRules, _: Any, x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    normed = _normalise(x, tuple(range(-len(shape), 0)), eps)
    normed = normed if weight is None else normed * weight
    return normed if bias is None else rules.keep(normed + bias, bias)


def _rms_norm(_: RelevanceRules, __: Any, x: Any, shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    normed = _normalise(x, tuple(range(-len(shape), 0)), eps, centred=False)
    return normed if weight is None else normed * weight


def _group_norm(
    rules: RelevanceRules, _: Any, x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    shape = (-1, *(1,) * (x.dim() - 2))
    normed = _normalise(x.reshape(len(x), groups, -1), (2,), eps).view_as(x)
    normed = normed if weight is None else normed * weight.view(shape)
    return normed if bias is None else rules.keep(normed + bias.view(shape), bias.view(shape))


def _unit_length(
    _: RelevanceRules, func: Any, x: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12, **__: Any
) -> Any:
    del func
    return x / x.detach().norm(p, dim, keepdim=True).clamp_min(eps)


def _attend(
    rules: RelevanceRules,
    _: Any,
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    **options: Any,
) -> Any:
    """Attention in parts; dropout is off in evaluation."""
    del dropout_p, options
    first, second = split_relevance(query, key.transpose(-2, -1))
    scores = first @ second * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.zeros_like(attn_mask, dtype=scores.dtype).masked_fill(~attn_mask, -torch.inf)
    if attn_mask is not None:
        scores = add_rule(rules, torch.add, scores, attn_mask)
    first, second = split_relevance(softmax_rule(rules, torch.softmax, scores, -1), value)
    return first @ second


def _attend_heads(
    rules: RelevanceRules,
    func: Any,
    query: Any,
    key: Any,
    value: Any,
    width: int,
    heads: int,
    *rest: Any,
    **options: Any,
) -> Any:
    """``nn.MultiheadAttention`` in parts, for tokens first, as it calls its function."""
    weight, bias, bias_key, bias_value, zeros, _, out_weight, out_bias = rest[:8]
    is_plain = bias_key is None and bias_value is None and not zeros and not options.get("use_separate_proj_weight")
    if not is_plain or options.get("key_padding_mask") is not None or options.get("attn_mask") is not None:
        return func(query, key, value, width, heads, *rest, **options)
    biases = (None,) * 3 if bias is None else bias.chunk(3)

    def project(tokens: Any, part: Any, added: Any) -> Any:
        projected = linear_rule(rules, F.linear, tokens, part, added)
        return projected.unflatten(-1, (heads, -1)).permute(1, 2, 0, 3)

    parts = [project(*each) for each in zip((query, key, value), weight.chunk(3), biases, strict=True)]
    mixed = _attend(rules, func, *parts).permute(2, 0, 1, 3).flatten(2)
    return linear_rule(rules, F.linear, mixed, out_weight, out_bias), None


RULES: dict[str, Rule] = ARITHMETIC | {
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "normalize": _unit_length,
    "scaled_dot_product_attention": _attend,
    "multi_head_attention_forward": _attend_heads,
}
"""Name of a function of torch -> its rule; others keep their gradient."""
