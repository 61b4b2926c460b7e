"""What patterns, masses, head rules and key probes see of one attention call.

A `Call` is what transformers hands over; `Rows` says who its rows and keys are, once for all layers
of a forward; a `View` is both, for the rows at hand, with everything that follows from them
computed when it is first asked for.

Axes: B batch, H heads, G key-value heads, Q queries (rows) of the call, R those that are edited or
measured, K keys, T tokens (columns of the padded batch, cached ones included).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interventions.engine.algebra import attention_scores, attention_weights, log_mass, log_sum
from interventions.engine.noise import Address
from interventions.methods.selectors import has_role

Columns = slice | Tensor  # which keys: a slice where they are contiguous, else their indices


@dataclass(frozen=True, kw_only=True, eq=False)
class Call:
    """One call of a layer's attention."""

    layer: int
    query: Float[Tensor, "batch head query width"]
    key: Float[Tensor, "batch group key width"]
    value: Float[Tensor, "batch group key width"]
    allowed: Bool[Tensor, "batch 1 query key"]
    scaling: float | None
    softcap: float | None


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What rows see of a block."""

    shared: bool  # all edited rows of a sample may see the same keys of it
    full: bool  # all rows of all samples may see all of it
    certain: bool  # every row of the call is edited and sees some of it, in every sample
    inner: bool  # and sees other keys too


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Who the rows and keys of one forward are, and what is done with them."""

    index: Int[Tensor, " row"]  # rows of the call that are edited or measured in some sample
    span: slice | None  # the same where they are contiguous, which spares copies
    edited: Bool[Tensor, "batch row"]
    measured: Bool[Tensor, "batch row"]
    position: Int[Tensor, "batch row"]  # in the unpadded sequence
    edits: bool  # whether any row of any sample is edited
    key_position: Int[Tensor, "batch token"]
    key_role: Int[Tensor, "batch token"]  # index into selectors.ROLES
    chosen_key: Bool[Tensor, "batch token"]  # by role or position, before a probe narrows it
    prompt_lengths: Int[Tensor, " batch"]
    image_counts: Int[Tensor, " batch"]  # image tokens of the whole prompt
    layers: int  # of the decoder
    sample: Int[Tensor, " batch"]  # hash of the sample's name
    prior: Float[Tensor, "batch token"] | None  # weight of each image token, 1 elsewhere
    memory: dict[str, Tensor]  # what earlier layers or forwards left, batch axis first
    uids: tuple[str, ...]
    seed: int
    scope: str
    _cache: dict[Any, Any] = field(default_factory=dict, repr=False)

    def to(self, device: torch.device) -> Rows:
        """On the device of a layer; layers of one model may sit on several."""
        if self.index.device == device:
            return self
        if device not in self._cache:
            tensors = {k: v for k, v in self.__dict__.items() if isinstance(v, Tensor)}
            moved: dict[str, Any] = {k: v.to(device) for k, v in tensors.items()}
            self._cache[device] = replace(self, **moved, _cache={})
        return self._cache[device]

    def part(self, start: int, stop: int) -> Rows:
        """Some of the rows; key-wise fields are shared."""
        if start == 0 and stop >= len(self.index):
            return self
        return replace(
            self,
            index=self.index[start:stop],
            span=None
            if self.span is None
            else slice(self.span.start + start, min(self.span.start + stop, self.span.stop)),
            edited=self.edited[:, start:stop],
            measured=self.measured[:, start:stop],
            position=self.position[:, start:stop],
        )

    def at(self, index: Int[Tensor, " row"], chosen: Bool[Tensor, "batch row"]) -> Rows:
        """Other rows of the same call, of which some are `edited`; positions are left out."""
        nothing = torch.zeros_like(chosen)
        position = nothing.long()
        return replace(
            self, index=index, span=None, edited=chosen, measured=nothing, position=position
        )

    def split(self, keys: int) -> tuple[Columns, Columns]:
        """Of the last `keys` columns, those that some sample has in the block, and outside it."""
        if ("split", keys) not in self._cache:
            chosen = self.chosen_key[:, -keys:]
            columns = (chosen.any(dim=0), (~chosen).any(dim=0))
            self._cache["split", keys] = tuple(_columns(which) for which in columns)
        return self._cache["split", keys]

    def sight(self, allowed: Bool[Tensor, "batch 1 query key"]) -> Sight:
        """What the edited rows see of the block, found out once for every mask."""
        if ("sight", id(allowed)) not in self._cache:
            chosen = self.chosen_key[:, None, -allowed.shape[-1] :]
            block = chosen & allowed.index_select(2, self.index)[:, 0]
            edited = self.edited[..., None]
            union = (block & edited).any(dim=1, keepdim=True)
            rest = allowed.index_select(2, self.index)[:, 0] & ~chosen
            every = len(self.index) == allowed.shape[2]
            certain = self.edited & block.any(dim=-1)
            self._cache["sight", id(allowed)] = Sight(
                shared=bool(((block == union) | ~edited).all()),
                full=bool(block[..., self.split(allowed.shape[-1])[0]].all()),
                certain=every and bool(certain.all()),
                inner=every and bool((certain & rest.any(dim=-1)).all()),
            )
        return self._cache["sight", id(allowed)]

    def causal(self, allowed: Bool[Tensor, "batch 1 query key"]) -> bool:
        """Whether every row of the call sees what the last one sees, up to its own column."""
        if ("causal", id(allowed)) not in self._cache:
            rows, keys = allowed.shape[2:]
            past = torch.ones(rows, keys, dtype=torch.bool, device=allowed.device).tril(keys - rows)
            found = bool((allowed == (allowed[:, :, -1:] & past)).all())
            self._cache["causal", id(allowed)] = found
        return self._cache["causal", id(allowed)]

    def parts(self) -> Parts:
        """Rows by what is done with them in any sample, found out once."""
        if "parts" not in self._cache:
            edited, measured = self.edited.any(dim=0), self.measured.any(dim=0)
            self._cache["parts"] = Parts(
                measured=self._choose(~edited),
                edited=self._choose(edited & ~measured),
                both=self._choose(edited & measured),
            )
        return self._cache["parts"]

    def _choose(self, which: Bool[Tensor, " row"]) -> Rows | None:
        index = which.nonzero()[:, 0]
        if not len(index):
            return None
        span = as_slice(self.index[index])
        return replace(
            self,
            index=self.index[index],
            span=span if isinstance(span, slice) else None,
            edited=self.edited[:, index],
            measured=self.measured[:, index],
            position=self.position[:, index],
            _cache={},
        )

    def about_image(self) -> Rows:
        """The same rows with the image tokens as the block."""
        known = self._cache.setdefault("image", {})  # of keys: parts of the rows may share it
        return replace(self, chosen_key=self.keys_with(("image",)), _cache=known)

    def recall(self, name: str) -> Tensor:
        """What an earlier layer or forward left, on the device of these rows."""
        return self.memory[name].to(self.index.device)

    def recall_tokens(self, name: str) -> Bool[Tensor, "batch token"]:
        """The same for a mark on tokens; tokens that came later are not marked."""
        known = self.recall(name)
        marked = torch.zeros_like(self.chosen_key)
        marked[:, : known.shape[1]] = known
        return marked

    def image_sizes(self) -> frozenset[int]:
        """How many image tokens samples have, found out once: it waits for the device."""
        if "image sizes" not in self._cache:
            self._cache["image sizes"] = frozenset(self.image_counts.tolist())
        return self._cache["image sizes"]

    def keys_with(self, names: Sequence[str]) -> Bool[Tensor, "batch token"]:
        """Tokens whose role is one of `names`."""
        place = tuple(names)
        if place not in self._cache:
            self._cache[place] = has_role(self.key_role, place)
        return self._cache[place]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Rows by what is done with them; None: there are none such."""

    measured: Rows | None  # and nothing else
    edited: Rows | None  # and never measured
    both: Rows | None


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """The rows at hand of one call. Scores are scaled and capped, before the mask."""

    call: Call
    rows: Rows
    probe: Any = None  # narrows the block, see interventions.methods.probes
    columns: Columns = field(
        default_factory=lambda: slice(None)
    )  # the keys at hand, of those of the call
    rest: View | None = None  # the other keys, where this view holds only the block's

    @property
    def layer(self) -> int:
        return self.call.layer

    @property
    def keys(self) -> int:
        return self.allowed.shape[-1]

    @property
    def heads(self) -> int:
        return self.call.query.shape[1]

    @property
    def precision(self) -> torch.dtype:
        """Of all arithmetic on scores: float32, float64 in a float64 model."""
        return torch.float64 if self.call.query.dtype == torch.float64 else torch.float32

    @cached_property
    def query(self) -> Float[Tensor, "batch head row width"]:
        return self._of_rows(self.call.query)

    def _of_rows(self, values: Tensor) -> Tensor:
        span = self.rows.span
        return values.index_select(2, self.rows.index) if span is None else values[:, :, span]

    @cached_property
    def scores(self) -> Float[Tensor, "batch head row key"]:
        key = self.call.key[:, :, self.columns]
        return attention_scores(self.query, key, self.call.scaling, self.call.softcap)

    @cached_property
    def value(self) -> Float[Tensor, "batch group key width"]:
        return self.call.value[:, :, self.columns]

    @cached_property
    def allowed(self) -> Bool[Tensor, "batch 1 row key"]:
        return self._of_rows(self.call.allowed)[..., self.columns]

    @cached_property
    def weights(self) -> Float[Tensor, "batch head row key"]:
        """Learned attention: rows sum to one (over the keys at hand)."""
        return attention_weights(self.scores, self.allowed)

    @cached_property
    def block(self) -> Bool[Tensor, "batch head|1 row key"]:
        """Allowed keys of the block."""
        block = self.of_keys(self.rows.chosen_key) & self.allowed
        return block if self.probe is None else block & self.probe.keys(self)

    @cached_property
    def learned_log_mass(self) -> Float[Tensor, "batch head row"]:
        """l_b, the logarithm of the block's unnormalised learned attention; -inf when empty."""
        if self.all_visible:
            return log_sum(self.scores)
        return log_mass(self.scores, self.block)

    @property
    def all_visible(self) -> bool:
        """Whether this view holds the block alone, and every row may see all of it."""
        return self.rest is not None and self.rows.sight(self.call.allowed).full

    @cached_property
    def rest_log_mass(self) -> Float[Tensor, "batch head row"]:
        """l_t of the allowed keys outside the block; -inf when there are none."""
        if self.rest is not None:
            return self.rest.rest_log_mass
        return log_mass(self.scores, self.allowed & ~self.block)

    @cached_property
    def address(self) -> Address:
        """Where the entries sit, for random draws."""
        return Address(
            seed=self.rows.seed,
            scope=self.rows.scope,
            layer=self.layer,
            sample=self.rows.sample,
            head=torch.arange(self.heads, device=self.rows.sample.device),
            row=self.rows.position,
            key=self.of_keys(self.rows.key_position)[:, 0, 0],
        )

    def with_role(self, names: Sequence[str]) -> Bool[Tensor, "batch 1 1 key"]:
        """Keys whose role is one of `names`."""
        return self.of_keys(self.rows.keys_with(names))

    def of_keys(self, values: Tensor) -> Tensor:
        """A value per token, (B, T), as one per key, (B, 1, 1, K)."""
        return values[:, None, None, -self.call.key.shape[2] :][..., self.columns]

    def share(self, names: Sequence[str]) -> Float[Tensor, "batch head row"]:
        """Learned attention on keys with these roles, in [0, 1]."""
        return (self.weights * self.with_role(names)).sum(dim=-1)

    @cached_property
    def image_index(self) -> Int[Tensor, "batch 1 1 key"]:
        """Number of every image token within its sample; meaningless on other keys."""
        count = self.rows.keys_with(("image",)).cumsum(dim=1) - 1
        return self.of_keys(count.clamp_min(0))


def _columns(which: Bool[Tensor, " key"]) -> Columns:
    """Indices of the columns that are set; a slice (no copy) where they are contiguous."""
    return as_slice(which.nonzero()[:, 0])


def as_slice(index: Int[Tensor, " column"]) -> Columns:
    """Rising indices as a slice where they are contiguous."""
    if len(index) == 0:
        return slice(0, 0)
    first, last = int(index[0]), int(index[-1])
    return slice(first, last + 1) if last - first + 1 == len(index) else index
