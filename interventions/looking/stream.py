"""What every decoder layer adds to the residual stream, seen while prompts are read.

    layers = []
    with follow_stream(model, torch.clone, layers.append):
        model(**inputs)
    layers[0].attention  # (batch, token, width): what attention added, as it was added

Nothing is assumed of how a family writes its layers, norms, gates and multipliers, as the additions
themselves are seen: the stream is the tensor that enters a layer, and where something is added to
it, that is an update and the sum is the stream from there on. The attention's update is the one
made of what the attention module gave. A layer whose stream goes on in any other way is refused.

    sequential   before -> + attention -> + feed-forward -> after
    parallel     both are made of `before`; the stream after attention is before + attention
    rest         what a layer does to the stream behind both (Gemma 4 adds an embedding of each
                 token, and scales the sum)
    between      what is done to the stream between two layers, as DeepStack adds features of the
                 image, is in no layer: the next one's `before` minus this one's `after`

Works inside and outside of `intervene`. Axes: B batch, T tokens of the padded batch, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary
from transformers import PreTrainedModel

from interventions.calls import block
from interventions.errors import InterventionError
from interventions.patching.decoders import innermost, named_arguments, token_mixers

ATTENTION = "attention"  # what mixes tokens in most layers
ROUNDING = 4.0  # of the precision, relative to the sizes of all terms: a layer rounds twice

Keep = Callable[[Float[Tensor, "batch token width"]], Tensor]
"""Cuts out of a tensor what is kept. It must copy: a layer may change its stream in place."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerUpdates:
    """One decoder layer in one forward, as `Keep` cut it out, in the model's precision.

    The stream behind an update is the sum in float64: it has no rounding but that of what was added
    and of what entered the layer.
    """

    layer: int
    mixer: str  # `attention`, or what mixes the tokens of this layer instead
    before: Float[Tensor, "*kept width"]  # what entered the layer
    attention: Float[Tensor, "*kept width"]  # what the mixer added
    ffn: Float[Tensor, "*kept width"]  # what the feed-forward part added
    after: Float[Tensor, "*kept width"]  # what the layer gave
    has_rest: bool  # whether the layer did more to the stream than to add these two

    @property
    def after_attention(self) -> Float[Tensor, "*kept width"]:
        """before + attention."""
        return self.before.double() + self.attention.double()

    @property
    def after_ffn(self) -> Float[Tensor, "*kept width"]:
        """before + attention + ffn."""
        return self.after_attention + self.ffn.double()

    @property
    def rest(self) -> Float[Tensor, "*kept width"]:
        """What else was done to the stream: nothing but rounding in layers without `has_rest`."""
        return self.after.double() - self.after_ffn

    @property
    def excess(self) -> Float[Tensor, ""]:
        """Largest `rest`, as a multiple of what rounding may give; 0 in layers that have one."""
        if self.has_rest:
            return torch.zeros((), dtype=torch.float64, device=self.after.device)
        sizes = (self.before.abs() + self.attention.abs() + self.ffn.abs()).double()
        allowed = ROUNDING * torch.finfo(self.after.dtype).eps * sizes
        tiny = torch.finfo(torch.float64).tiny
        return (self.rest.abs() / allowed.clamp_min(tiny)).nan_to_num(0.0, posinf=0.0).amax()


@dataclass(eq=False)
class _Layer:
    """A layer that is running."""

    number: int
    stream: Tensor
    before: Tensor
    updates: list[Tensor] = field(default_factory=list)  # of the mixer, of the feed-forward part
    has_rest: bool = False
    marked: WeakIdKeyDictionary = field(default_factory=WeakIdKeyDictionary)
    """Tensors made of what the attention gave; in a layer without, of the stream behind its mixer.
    """


class _Follower(TorchFunctionMode):
    """Sees the arithmetic of a decoder's layers, one layer at a time."""

    def __init__(
        self, model: PreTrainedModel, keep: Keep, take: Callable[[LayerUpdates], None]
    ) -> None:
        super().__init__()
        decoder = innermost(model.get_decoder())
        self.family: str = model.config.model_type
        self.blocks: Any = decoder.layers
        self.attention, self.others = token_mixers(decoder, type(model).__name__)
        self.keep, self.take = keep, take
        self.excess: dict[int, Tensor] = {}  # by layer
        self.running: _Layer | None = None

    def hooks(self) -> Iterator[Any]:
        """Put every hook in its place."""
        for number, layer in enumerate(self.blocks):
            yield layer.register_forward_pre_hook(partial(self._begin, number), with_kwargs=True)
            yield layer.register_forward_hook(self._end, always_call=True)
        for module in self.attention.values():
            yield module.register_forward_hook(self._attended)

    def check(self) -> None:
        """Refuse a layer that gave something else than the sum of what was seen."""
        for number, excess in self.excess.items():
            if float(excess) > 1.0:
                raise self._refused(number, "gives something else than the sum of its updates")

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if self.running is not None:
            self._note(self.running, func.__name__, args, kwargs or {}, result)
        return result

    def _begin(
        self, number: int, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Pre-hook of a decoder layer."""
        stream = args[0] if args else named_arguments(module, args, kwargs)["hidden_states"]
        self.running = None
        self.running = _Layer(number=number, stream=stream, before=self.keep(stream))

    def _attended(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Forward hook of an attention module."""
        if self.running is not None:
            self.running.marked[_first(output)] = True

    def _end(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Forward hook of a decoder layer."""
        layer, self.running = self.running, None
        if layer is None or output is None:  # refused, or an exception is on its way
            return
        if len(layer.updates) < 2 or _first(output) is not layer.stream:
            raise self._refused(
                layer.number, "gives something else than its residual stream with two updates added"
            )
        attention, ffn = layer.updates
        seen = LayerUpdates(
            layer=layer.number,
            mixer=self.others.get(layer.number, ATTENTION),
            before=layer.before,
            attention=attention,
            ffn=ffn,
            after=self.keep(layer.stream),
            has_rest=layer.has_rest,
        )
        self.excess[layer.number] = seen.excess
        self.take(seen)

    def _note(
        self, layer: _Layer, name: str, args: Any, kwargs: Mapping[str, Any], result: Any
    ) -> None:
        """Book one operation inside a layer."""
        stream = layer.stream
        if any(part is stream for part in args[:2]):
            if name in ("add", "add_") and result.shape == stream.shape:
                self._add(layer, args, kwargs, result)
                return
            if name == "to" and result.device != stream.device:
                layer.stream = result  # what the layer before gave lies on another device
                return
            if result is stream and name.endswith("_") and not name.startswith("_"):  # in place
                if len(layer.updates) < 2:
                    raise self._refused(layer.number, f"changes its residual stream by {name}")
                layer.has_rest = True
                return
        if layer.marked and any(part in layer.marked for part in _tensors(args, kwargs)):
            for part in _tensors((result,), {}):
                layer.marked[part] = True

    def _add(self, layer: _Layer, args: Any, kwargs: Mapping[str, Any], result: Tensor) -> None:
        """Something was added to the stream."""
        update = args[1] if args[0] is layer.stream else args[0]
        attends, known = layer.number in self.attention, len(layer.updates)
        if known == 2 and attends:
            layer.has_rest = True
        else:
            whole = isinstance(update, Tensor) and update.shape == result.shape
            made_of_marked = whole and update in layer.marked
            if kwargs or not whole or known == 2 or made_of_marked != (known == 1 - attends):
                raise self._refused(
                    layer.number,
                    "adds something else than what its token mixer and its feed-forward part give",
                )
            layer.updates.append(self.keep(update))
        layer.stream = result
        if not attends and len(layer.updates) == 1:
            layer.marked[result] = True

    def _refused(self, number: int, why: str) -> InterventionError:
        self.running = None
        return InterventionError(
            f"Layer {number} of the family {self.family!r} ({type(self.blocks[number]).__name__}) "
            f"{why}, so that its residual stream cannot be followed."
        )


def _first(output: Any) -> Tensor:
    return output if isinstance(output, Tensor) else output[0]


def _tensors(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[Tensor]:
    for part in (*args, *kwargs.values()):
        if isinstance(part, Tensor):
            yield part
        elif isinstance(part, tuple | list):
            yield from _tensors(part, {})


@block("with follow_stream(model, torch.clone, layers.append)")
def follow_stream(
    model: PreTrainedModel, keep: Keep, take: Callable[[LayerUpdates], None]
) -> Iterator[None]:
    """Show `take` what every decoder layer adds, layer by layer, in every forward of the block.

    Nothing of what the model computes is changed, and nothing is kept here: an intervention that
    reads a prompt unedited first shows every layer twice, and what comes last counts.

    Raises `InterventionError`, one sentence with family and layer, where a layer does something to
    the stream that is not understood.
    """
    follower = _Follower(model, keep, take)
    with ExitStack() as hooks:
        for handle in follower.hooks():
            hooks.callback(handle.remove)
        with follower:
            yield
    follower.check()
