"""Rules of relevance propagation, as changed gradients of the functions that a network calls.

Within ``RelevanceRules``, every function keeps its value, and the gradient times the input of each is the relevance of
that input: relevance starts as the logit, and a backward hands it down. What is affine keeps its gradient (the epsilon
rule for an epsilon of 0, in which the bias keeps its share). Of others:

- an activation function has the slope f(x) / x (AttnLRP's identity rule);
- a normalisation has a constant standard deviation;
- a product of two tensors, of matrices or element by element, gives half of the relevance to each;
- a softmax has its gradient, whose constant term keeps its share (AttnLRP's rule);
- a gate (sigmoid) and a denominator are constants, so that the signal has all of the relevance.

Shares that constants keep are summed, so that relevance and shares can be checked to add up to the logit. The rules are
those of AttnLRP (Achtibat et al. 2024, arXiv 2402.05602), but for gates, which are those of Arras et al. 2019, arXiv
1909.12114.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

Rule = Callable[..., Any]


class RelevanceRules(TorchFunctionMode):
    """Functions of torch with the gradients of relevance propagation, within a ``with`` block.

    Args:
        rules: name of a function of torch -> its rule; others keep their gradient.

    Attributes:
        shares: what constants keep, a number each, once a backward ran.

    Examples:
        >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> import torch.nn.functional as F
        >>> with RelevanceRules(ARITHMETIC) as rules:
        ...     y = F.silu(x * 3 + 1).sum()
        >>> relevance = x * torch.autograd.grad(y, x)[0]
        >>> abs((relevance.sum() + rules.share - y).item()) < 1e-5
        True
    """

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        super().__init__()
        self._rules = rules
        self.shares: list[Tensor] = []

    @property
    def share(self) -> Tensor:
        """What all constants keep."""
        return torch.stack(self.shares).sum() if self.shares else torch.zeros((), dtype=torch.float64)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call a function by its rule."""
        del types
        rule = self._rules.get(getattr(func, "__name__", ""))
        kwargs = kwargs or {}
        return func(*args, **kwargs) if rule is None else rule(self, func, *args, **kwargs)

    def keep(self, output: Any, constant: Any) -> Any:
        """Count the relevance of a constant that was added to make an output; return the output."""
        if constant is not None and output.requires_grad:
            value = constant.detach() if isinstance(constant, Tensor) else constant

            def count(gradient: Tensor) -> None:
                share = gradient.double() * value
                self.shares.append(share.where(gradient != 0, 0).sum())

            output.register_hook(count)
        return output


class _Halve(torch.autograd.Function):
    """The same values, a share of the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, parts: int) -> Tensor:
        ctx.parts = parts
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0] / ctx.parts, None


class _Softmax(torch.autograd.Function):
    """The softmax, whose constant term's relevance is counted."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int, shares: list[Tensor]) -> Tensor:
        probabilities = x.softmax(dim)
        ctx.save_for_backward(x, probabilities)
        ctx.dim, ctx.shares = dim, shares
        return probabilities

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        x, probabilities = ctx.saved_tensors
        weighted = gradients[0] * probabilities
        slope = weighted - probabilities * weighted.sum(ctx.dim, keepdim=True)
        handed_down = (slope.double() * x).where(slope != 0, 0)
        ctx.shares.append(weighted.double().sum() - handed_down.sum())
        return slope, None, None


def _in_graph(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


def split_relevance(*values: Any) -> tuple[Any, ...]:
    """Return tensors that are multiplied, each with an equal share of the gradient."""
    parts = sum(map(_in_graph, values))
    return tuple(_Halve.apply(value, parts) if parts > 1 and _in_graph(value) else value for value in values)


def add_rule(rules: RelevanceRules, func: Any, a: Any, b: Any, *, alpha: Any = 1, **options: Any) -> Any:
    """Return a sum, of which a constant keeps its share."""
    constant = b * alpha if not _in_graph(b) else a if not _in_graph(a) else None
    if constant is a and isinstance(a, Tensor):
        constant = a.clone()
    return rules.keep(func(a, b, **options) if alpha == 1 else func(a, b, alpha=alpha, **options), constant)


def _add_product(rules: RelevanceRules, _: Any, a: Any, b: Any, c: Any, *, value: Any = 1) -> Any:
    return add_rule(rules, torch.add, a, _multiply(rules, torch.mul, b, c) * value)


def _subtract(rules: RelevanceRules, func: Any, a: Any, b: Any, *, alpha: Any = 1) -> Any:
    first, second = (b, a) if func.__name__ in ("__rsub__", "rsub") else (a, b * alpha)
    constant = first if not _in_graph(first) else -second if not _in_graph(second) else None
    return rules.keep(first - second, constant)


def _multiply(_: RelevanceRules, func: Any, a: Any, b: Any, **options: Any) -> Any:
    if _in_graph(a) and _in_graph(b):
        func = torch.mul if "mul" in func.__name__ and "mat" not in func.__name__ else func  # not in place
    return func(*split_relevance(a, b), **options)


def _bilinear(_: RelevanceRules, func: Any, a: Any, b: Any, **options: Any) -> Any:
    return func(*split_relevance(a, b), **options)


def _einsum(_: RelevanceRules, func: Any, equation: Any, *operands: Any) -> Any:
    values: Sequence[Any] = operands[0] if len(operands) == 1 and isinstance(operands[0], list | tuple) else operands
    return func(equation, *split_relevance(*values))


def _divide(_: RelevanceRules, func: Any, a: Any, b: Any, **options: Any) -> Any:
    return func(a, b.detach() if _in_graph(b) and func.__name__ != "__rtruediv__" else b, **options)


def _detach(_: RelevanceRules, func: Any, *arguments: Any, **options: Any) -> Any:
    with torch.no_grad():
        return func(*arguments, **(options | {"inplace": False} if "inplace" in options else options))


def _activate(_: RelevanceRules, func: Any, x: Any, *arguments: Any, **options: Any) -> Any:
    if "inplace" in options:
        options["inplace"] = False
    with torch.no_grad():
        y = func(x.detach().clone(), *arguments, **options)
        slope = (y / x).where(x != 0, 0)
    return x * slope


def softmax_rule(rules: RelevanceRules, func: Any, x: Any, *arguments: Any, **options: Any) -> Any:
    """Return a softmax, whose constant term keeps its share."""
    dim = options.pop("dim", None) if "dim" in options else (arguments[0] if arguments else None)
    if not _in_graph(x) or dim is None:
        return func(x, *arguments, **options | ({} if arguments else {"dim": dim}))
    kind = options.get("dtype")
    return _Softmax.apply(x if kind is None else x.to(kind), dim, rules.shares)


def linear_rule(rules: RelevanceRules, func: Any, x: Any, weight: Any, bias: Any = None) -> Any:
    """Return a linear layer, whose bias keeps its share."""
    return rules.keep(func(*split_relevance(x, weight), bias), bias)


def _convolve(
    rules: RelevanceRules, func: Any, x: Any, weight: Any, bias: Any = None, *args: Any, **kwargs: Any
) -> Any:
    spatial = (1,) * (weight.dim() - 2)
    return rules.keep(func(x, weight, bias, *args, **kwargs), None if bias is None else bias.view(-1, *spatial))


def _concatenate(rules: RelevanceRules, func: Any, tensors: Any, *arguments: Any, **options: Any) -> Any:
    output = func(tensors, *arguments, **options)
    if any(map(_in_graph, tensors)) and not all(map(_in_graph, tensors)):
        constants = [torch.zeros_like(each) if _in_graph(each) else each for each in tensors]
        return rules.keep(output, func(constants, *arguments, **options))
    return output


def _fill(rules: RelevanceRules, func: Any, x: Any, mask: Any, value: Any) -> Any:
    return rules.keep(func(x, mask, value), torch.zeros_like(x).masked_fill(mask, value) if _in_graph(x) else None)


def _named(rule: Rule, names: str) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


ARITHMETIC: dict[str, Rule] = {
    **_named(add_rule, "add __add__ __radd__ add_ __iadd__"),
    **_named(_add_product, "addcmul"),
    **_named(_subtract, "sub __sub__ __rsub__ rsub subtract"),
    **_named(_multiply, "mul __mul__ __rmul__ mul_ __imul__ multiply"),
    **_named(_bilinear, "matmul __matmul__ bmm mm"),
    **_named(_einsum, "einsum"),
    **_named(_divide, "div __truediv__ true_divide divide __rtruediv__"),
    **_named(_detach, "sigmoid sigmoid_ hardsigmoid rsqrt reciprocal"),
    **_named(_activate, "gelu silu mish hardswish hardtanh relu6 elu selu celu tanh leaky_relu prelu"),
    **_named(softmax_rule, "softmax"),
    **_named(linear_rule, "linear"),
    **_named(_convolve, "conv1d conv2d conv3d conv_transpose2d"),
    **_named(_concatenate, "cat concat concatenate stack"),
    **_named(_fill, "masked_fill"),
}
"""Name of a function of torch -> its rule."""
