"""What maps of the last blocks of a transformer need of a forward: tokens, attention, and what makes logits of them."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from interpfer.errors import ModelError
from interpfer.maps.token_head import TokenHead, find_blocks
from interpfer.models.attention import record_attention
from interpfer.models.hooks import first_tensor, replace_first
from interpfer.models.model import Model


@dataclass(frozen=True)
class BlockNeeds:
    """What a map needs of the last blocks.

    Attributes:
        count: number of blocks.
        gradients: whether it needs outputs and attention of each as parts of the graph.
    """

    count: int
    gradients: bool = False


@dataclass(frozen=True)
class BlockCapture:
    """The last blocks of a transformer in a forward.

    Attributes:
        head: what turns tokens after the last block into logits.
        block: the last block.
        call: arguments of the last block, positional and by name.
        logits: of the forward.
        probabilities: attention of each block, as the network computes it, part of the graph; empty if not recorded.
        outputs: tokens after each block, part of the graph; empty if not recorded.
    """

    head: TokenHead
    block: nn.Module
    call: tuple[tuple[Any, ...], dict[str, Any]]
    logits: Float[Tensor, "n k"]
    probabilities: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def last(self, count: int) -> "BlockCapture":
        """Return the last of the blocks."""
        return replace(self, probabilities=self.probabilities[-count:], outputs=self.outputs[-count:])

    def require_logits(self, model: Model, prefix: int) -> None:
        """Check that what follows the last block turns tokens into the logits.

        Args:
            model: the classifier.
            prefix: number of tokens before the patches.

        Raises:
            ModelError: it does not.
        """
        self.head.require_logits(model, self.logits, prefix)


class BlockRecorder:
    """Records the last blocks of a transformer in one forward.

    Args:
        model: the classifier.
        needs: what maps need of them.

    Raises:
        ModelError: the network has no blocks with attention.
    """

    def __init__(self, model: Model, needs: BlockNeeds) -> None:
        names = find_blocks(model.module)
        self.needs = needs
        self._network, self._chosen = model.module, names[-needs.count :]
        self._before = names[: -needs.count][-1:]  # the graph begins with its output
        self._head, self._block = TokenHead(model.module, names[-1]), model.module.get_submodule(names[-1])
        self._calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self._results: list[Any] = []
        self._attention: list[Tensor] = []
        self._outputs: list[Tensor] = []

    def prepare(self, x: Tensor) -> Tensor:
        """Return input with which the blocks are part of a graph."""
        return x.detach().requires_grad_() if self.needs.gradients and not self._before else x

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Record inside the block; the network is restored afterwards."""
        self._calls, self._results, self._attention, self._outputs = [], [], [], []
        with ExitStack() as stack:
            stack.enter_context(self._head.recorded())
            if self.needs.gradients:
                first, *chosen = map(self._network.get_submodule, [*(self._before or [""]), *self._chosen])
                inside = {module for block in chosen for module in block.modules()}
                stack.enter_context(record_attention(self._network, self._attention, inside))
                if self._before:
                    stack.callback(first.register_forward_hook(_begin_graph).remove)
                for block in chosen:
                    stack.callback(block.register_forward_hook(self._record_output).remove)
            before = self._block.register_forward_pre_hook(
                lambda _, args, options: self._calls.append((args, options)), with_kwargs=True
            )
            after = self._block.register_forward_hook(lambda _, __, output: self._results.append(output))
            stack.callback(before.remove)
            stack.callback(after.remove)
            yield

    def captured(self, logits: Tensor) -> BlockCapture:
        """Return what was recorded of the last forward.

        Args:
            logits: of that forward.

        Raises:
            ModelError: a block did not run exactly once, or the last one is a head that pools the tokens.
        """
        name = self._chosen[-1]
        if len(self._calls) != 1:
            raise ModelError(f"block {name} ran {len(self._calls)} times in one forward.")
        call, output = self._calls.pop(), first_tensor(self._results.pop())
        given = first_tensor(call[0] or tuple(call[1].values()))
        if given is not None and output is not None and given.dim() == 3 and output.shape != given.shape:
            raise ModelError(
                f"the head {name} pools the tokens of this network by attention, as SigLIP's, so no token has logits "
                "of its own: choose maps that follow the pooling, such as grad-eclip or attention-rollout."
            )
        attention, outputs = tuple(self._attention), tuple(self._outputs)
        self._attention, self._outputs = [], []
        return BlockCapture(self._head, self._block, call, logits, attention, outputs)

    def _record_output(self, _: nn.Module, __: Any, output: Any) -> Any:
        """Keep the tokens; what follows may work in place, and gets a copy."""
        tokens = first_tensor(output)
        if tokens is None:
            return None
        self._outputs.append(tokens)
        return replace_first(output, tokens.clone())


def _begin_graph(_: nn.Module, __: Any, output: Any) -> Any:
    """Make the output of a module the beginning of a graph, where it is not part of one."""
    tokens = first_tensor(output)
    if tokens is None or tokens.requires_grad or tokens.is_inference():
        return None
    return replace_first(output, tokens.detach().requires_grad_())


def join_needs(needs: Iterable[BlockNeeds]) -> BlockNeeds | None:
    """Return what all of some maps need; None where there is none.

    Examples:
        >>> join_needs([BlockNeeds(1), BlockNeeds(2, gradients=True)])
        BlockNeeds(count=2, gradients=True)
    """
    every = list(needs)
    return BlockNeeds(max(each.count for each in every), any(each.gradients for each in every)) if every else None
