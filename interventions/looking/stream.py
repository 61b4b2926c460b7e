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
    between      what was added to the stream since the layer before gave it, as DeepStack adds
                 features of the image

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
    parallel: bool  # the feed-forward part reads `before`, too, not the stream behind the mixer
    before: Float[Tensor, "*kept width"]  # what entered the layer
    attention: Float[Tensor, "*kept width"]  # what the mixer added
    ffn: Float[Tensor, "*kept width"]  # what the feed-forward part added
    after: Float[Tensor, "*kept width"]  # what the layer gave
    between: (
        Float[Tensor, "*kept width"] | None
    )  # None: what the layer before gave entered as it is
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
        if self.has_rest or not self.after.numel():
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
    between: Tensor | None
    updates: list[Tensor] = field(default_factory=list)  # of the mixer, of the feed-forward part
    is_read: bool = False  # whether anything was made of the stream since the last addition
    parallel: bool = False
    has_rest: bool = False
    attended: WeakIdKeyDictionary = field(default_factory=WeakIdKeyDictionary)
    """Tensors that are made of what the attention gave, other than the stream."""


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
        self.given: tuple[Tensor, Tensor] | None = (
            None  # by the layer before: all, and what is kept
        )

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
        given, self.given, self.running = self.given, None, None
        before, between = self.keep(stream), None
        if number > 0 and given is not None and given[0] is not stream:
            between = before.double() - given[1].to(before.device).double()
        self.running = _Layer(number=number, stream=stream, before=before, between=between)

    def _attended(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Forward hook of an attention module."""
        if self.running is not None:
            self.running.attended[_first(output)] = True

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
            parallel=layer.parallel,
            before=layer.before,
            attention=attention,
            ffn=ffn,
            after=self.keep(layer.stream),
            between=layer.between,
            has_rest=layer.has_rest,
        )
        self.excess[layer.number] = seen.excess
        if layer.number + 1 < len(self.blocks):
            self.given = layer.stream, seen.after
        self.take(seen)

    def _note(
        self, layer: _Layer, name: str, args: Any, kwargs: Mapping[str, Any], result: Any
    ) -> None:
        """Book one operation inside a layer."""
        stream = layer.stream
        if any(part is stream for part in _tensors(args, kwargs)):
            if name in ("add", "add_") and result.shape == stream.shape:
                self._add(layer, args, kwargs, result)
                return
            if name == "to" and result.device != stream.device:
                layer.stream = result  # what the layer before gave lies on another device
                return
            layer.is_read = True
            if result is stream and name.endswith("_") and not name.startswith("_"):  # in place
                if len(layer.updates) < 2:
                    raise self._refused(layer.number, f"changes its residual stream by {name}")
                layer.has_rest = True
                return
        if layer.attended and any(part in layer.attended for part in _tensors(args, kwargs)):
            for part in _tensors((result,), {}):
                layer.attended[part] = True

    def _add(self, layer: _Layer, args: Any, kwargs: Mapping[str, Any], result: Tensor) -> None:
        """Something was added to the stream."""
        update = args[1] if args[0] is layer.stream else args[0]
        attends, known = layer.number in self.attention, len(layer.updates)
        if known == 2 and attends:
            layer.has_rest = True
        else:
            whole = isinstance(update, Tensor) and update.shape == result.shape
            attended = whole and update in layer.attended
            layer.parallel = known == 1 and not layer.is_read
            unknown = layer.parallel and not attends  # which of the two is the mixer's
            if kwargs or not whole or known == 2 or unknown or attended != (attends > known):
                raise self._refused(
                    layer.number,
                    "adds something else than what its token mixer and its feed-forward part give",
                )
            layer.updates.append(self.keep(update))
        layer.stream, layer.is_read = result, False

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
