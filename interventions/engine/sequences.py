"""Who the rows of a batch are: token roles and positions, across prompt, cache and candidates.

A row's position counts real tokens only, so padding on either side changes nothing.

Axes: B batch, T tokens (columns of the padded batch, cached ones included).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interventions.engine.noise import hash_text
from interventions.errors import InterventionError
from interventions.methods.parts import shown
from interventions.methods.selectors import (
    ROLES,
    WRITERS,
    OtherMedia,
    Span,
    has_role,
    media_tokens,
    token_positions,
    token_roles,
)

COUNTED = ("prompt_lengths", "pictures")  # what `expect` takes a number of
LENGTH = Integral | Tensor  # what may count tokens


@dataclass
class Expectation:
    """What is known about the next prompt before it runs."""

    uids: tuple[str, ...] | None = None
    prompt_lengths: tuple[int, ...] | None = None  # real tokens
    priors: tuple[Float[np.ndarray, " token"], ...] | None = None
    regions: tuple[Any, ...] | None = None  # boxes of every picture of every row
    pictures: tuple[int, ...] | None = None  # how many pictures every row has
    turns: tuple[tuple[Span, ...], ...] | None = None  # who wrote which tokens of every row
    ids: Int[Tensor, "batch token"] | None = None  # the whole prompt, when it is known
    real: Bool[Tensor, "batch token"] | None = None
    records: list[Any] = field(default_factory=list)  # filled at the first forward of the prompt
    stops: tuple[int, ...] = ()  # ids after which a generated answer is over
    measured: int = 0  # columns that earlier forwards of the same prompt already measured


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """A batch as the cache holds it; one entry of every tuple per row."""

    ids: Int[Tensor, "batch token"]
    real: Bool[Tensor, "batch token"]
    prompt_lengths: Int[Tensor, " batch"]
    samples: Int[Tensor, " batch"]  # hash of the sample's name
    records: tuple[Any, ...]  # where measurements go
    priors: tuple[Float[np.ndarray, " token"], ...] | None
    image_counts: tuple[int, ...]  # image tokens of the whole prompt
    turns: tuple[tuple[Span, ...], ...] | None  # who wrote which tokens
    expansion: int  # rows per sample (beams, returned sequences)
    stops: tuple[int, ...]  # ids after which a generated answer is over
    measured: int  # columns whose rows were measured before
    memory: dict[str, Tensor]  # what layers and forwards leave for later ones, batch axis first

    def roles(self, image_token_id: int, others: OtherMedia) -> Int[Tensor, "batch token"]:
        """Index into `ROLES`; what `generate` appends to an answer that is over is padding."""
        roles = token_roles(
            self.ids, self.real, self.prompt_lengths, image_token_id, others, self.turns
        )
        ends = torch.isin(self.ids, torch.tensor(self.stops, device=self.ids.device))
        over = (ends & has_role(roles, ("generated",))).cumsum(dim=1) > 0
        return roles.masked_fill(over, ROLES.index("padding"))

    def positions(self) -> Int[Tensor, "batch token"]:
        return token_positions(self.real)

    def within_prompt(self) -> bool:
        """Whether no row has gone beyond its prompt yet."""
        return bool((self.real.sum(dim=1) <= self.prompt_lengths).all())

    def last_columns(self) -> Int[Tensor, " batch"]:
        """Column of every row's last prompt token."""
        last = self.real & (self.positions() == self.prompt_lengths[:, None] - 1)
        return last.int().argmax(dim=1)

    def cuts_prompt(self, count: int) -> bool:
        """Whether the last `count` columns hold some but not all prompt tokens of a row."""
        prompt = self.real & (self.positions() < self.prompt_lengths[:, None])
        inside = prompt[:, -count:].sum(dim=1)
        return bool(((inside > 0) & (inside < self.prompt_lengths)).any())

    def continued(
        self, past: int, ids: Int[Tensor, "batch new"], real: Bool[Tensor, "batch token"] | None
    ) -> Sequences:
        """The same rows after `past` cached columns and some new tokens."""
        old_real = self.real[:, :past]
        new_real = torch.ones_like(ids, dtype=torch.bool) if real is None else real[:, past:]
        return replace(
            self,
            ids=torch.cat([self.ids[:, :past], ids], dim=1),
            real=torch.cat([old_real, new_real], dim=1),
            measured=past,
        )

    def expanded(self, factor: int) -> Sequences:
        """Every row repeated `factor` times in a row, as `generate` does for beams."""
        if factor == 1:
            return self
        return replace(
            self,
            ids=self.ids.repeat_interleave(factor, dim=0),
            real=self.real.repeat_interleave(factor, dim=0),
            prompt_lengths=self.prompt_lengths.repeat_interleave(factor),
            samples=self.samples.repeat_interleave(factor),
            records=_repeat(self.records, factor),
            priors=None if self.priors is None else _repeat(self.priors, factor),
            image_counts=_repeat(self.image_counts, factor),
            turns=None if self.turns is None else _repeat(self.turns, factor),
            expansion=self.expansion * factor,
            memory={k: v.repeat_interleave(factor, dim=0) for k, v in self.memory.items()},
        )

    def with_priors(self, priors: Sequence[Float[np.ndarray, " token"]]) -> Sequences:
        """With one fixed pattern per sample."""
        return replace(self, priors=_repeat(tuple(priors), self.expansion))


class Tracker:
    """Which rows a cache holds, from one forward to the next."""

    def __init__(self) -> None:
        self.latest: tuple[Sequences, Sequences] | None = None  # now, and at the prompt
        self.caches: WeakKeyDictionary[Any, tuple[Sequences, Sequences]] = WeakKeyDictionary()

    def remember(self, cache: Any, now: Sequences, at_prompt: Sequences | None) -> None:
        """Note what a forward left behind; `at_prompt` is None when it was a prompt."""
        whole = now if at_prompt is None or now.within_prompt() else at_prompt
        self.latest = (now, whole)
        if cache is not None:
            self.caches[cache] = self.latest

    def continued(
        self,
        cache: Any,
        past: int,
        ids: Int[Tensor, "batch new"],
        real: Bool[Tensor, "batch token"] | None,
    ) -> tuple[Sequences, Sequences | None]:
        """The rows behind a filled cache after some new tokens, and as they were at the prompt.

        A cache that was never seen (a copy) is taken for the latest. Rows may have multiplied since
        the prompt, each sample's side by side.
        """
        now, at_prompt = self.caches.get(cache) or self.latest or (None, None)
        for known in (now, at_prompt):
            if known is None or known.ids.shape[1] < past or len(ids) % len(known.ids):
                continue
            if known is not at_prompt and len(ids) != len(known.ids):
                continue
            rows = known.expanded(len(ids) // len(known.ids))
            if real is None or torch.equal(real[:, :past].to(rows.real), rows.real[:, :past]):
                return rows.continued(past, ids, real), at_prompt
        raise InterventionError(
            f"The cache holds {past} tokens of {len(ids)} rows that were not seen in this context; "
            "run the prompt inside the same `with intervene(...)` block, with the same padding."
        )


def begin(
    ids: Int[Tensor, "batch token"],
    real: Bool[Tensor, "batch token"],
    expectation: Expectation,
    image_token_id: int,
    others: OtherMedia,
    new_record: Any,
) -> Sequences:
    """Rows of a prompt forward. `new_record(uid)` makes the place where a sample is measured."""
    whole_ids, whole_real, lengths, factor = _prompt(ids, real, expectation)
    names = expectation.uids or tuple(
        _fingerprint(row[keep][:length])
        for row, keep, length in zip(whole_ids, whole_real, lengths.tolist(), strict=True)
    )
    if len(names) != len(whole_ids):
        raise InterventionError(
            f"The batch has {len(whole_ids)} rows but {len(names)} samples were expected; "
            "call log.expect with one name per row, right before the prompt."
        )
    if not expectation.records:
        expectation.records = [new_record(name) for name in names]
    image = media_tokens(whole_ids, image_token_id, others)["image"]
    counts = (image & whole_real).sum(dim=1).tolist()
    hashes = torch.tensor([hash_text(name) for name in names], device=ids.device)
    return Sequences(
        ids=ids,
        real=real,
        prompt_lengths=lengths.repeat_interleave(factor),
        samples=hashes.repeat_interleave(factor),
        records=_repeat(tuple(expectation.records), factor),
        priors=None if expectation.priors is None else _repeat(expectation.priors, factor),
        image_counts=_repeat(tuple(counts), factor),
        turns=None if expectation.turns is None else _repeat(expectation.turns, factor),
        expansion=factor,
        stops=expectation.stops,
        measured=expectation.measured,
        memory={},
    )


def _prompt(
    ids: Int[Tensor, "batch token"], real: Bool[Tensor, "batch token"], expectation: Expectation
) -> tuple[Tensor, Tensor, Int[Tensor, " sample"], int]:
    """Ids and mask of the whole prompt (one row per sample), its lengths, and rows per sample."""
    samples = len(ids)
    known = (expectation.ids, expectation.prompt_lengths, expectation.uids)
    for sizes in known:
        samples = samples if sizes is None else len(sizes)
    if samples == 0 or len(ids) % samples:
        raise InterventionError(
            f"The batch has {len(ids)} rows but {samples} samples were expected; "
            "call log.expect with one name per row, right before the prompt."
        )
    factor = len(ids) // samples
    whole_ids, whole_real = ids[::factor], real[::factor]
    prompt, mask = expectation.ids, expectation.real
    if prompt is not None and mask is not None and prompt.shape[1] > 0:
        columns = prompt.shape[1]
        seen = min(columns, ids.shape[1])
        if not torch.equal(whole_ids[:, :seen], prompt[:, :seen].to(ids.device)):
            raise InterventionError(
                "Expected generate to run the model on its own prompt, but other tokens came; call "
                "the model on other prompts before or after generate, not during it."
            )
        whole_real = torch.cat([whole_real[:, :seen], mask[:, seen:].to(real)], dim=1)
        whole_ids = prompt.to(ids.device)
    lengths = whole_real.sum(dim=1)
    if expectation.prompt_lengths is not None:
        lengths = torch.tensor(expectation.prompt_lengths, device=ids.device)
    return whole_ids, whole_real, lengths, factor


def check_expectation(samples: Sequence[str], **values: Sequence[Any] | None) -> None:
    """Raise `ValueError` unless everything given describes the same number of rows."""
    if not _listed(samples) or not all(isinstance(each, str) for each in samples):
        raise ValueError(
            f"samples must be a list with one name per row, got {shown(samples)}; write "
            'log.expect(["first", "second"]).'
        )
    for what, given in values.items():
        if given is None:
            continue
        if not _listed(given) or len(given) != len(samples):
            got = len(given) if _listed(given) else shown(given)
            raise ValueError(f"Expected {len(samples)} {what}, one per sample, got {got}.")
        single, kind = ("whole number", LENGTH) if what in COUNTED else ("list", Collection)
        if not all(isinstance(each, kind) for each in given):
            raise ValueError(f"{what} must hold a {single} per sample, got {shown(given)}.")


def check_turns(turns: Sequence[Sequence[Span]] | None) -> None:
    """Raise `ValueError` unless these say who wrote which tokens."""
    for span in (span for row in turns or () for span in row):
        named = isinstance(span, tuple | list) and len(span) == 3 and span[0] in WRITERS
        if not named or not 0 <= span[1] < span[2]:
            raise ValueError(
                f"turns must hold, for every row, who wrote what as ({' or '.join(WRITERS)}, first "
                f"token, token after the last), got {shown(span)}; interventions.turns finds them."
            )


def _listed(given: Any) -> bool:
    """Whether something is a list of at least one thing, or as good as one."""
    return isinstance(given, Collection) and not isinstance(given, str | bytes) and len(given) > 0


def _fingerprint(ids: Int[Tensor, " token"]) -> str:
    """A name for a prompt that nobody named: a hash of its unpadded token ids."""
    content = ids.to("cpu", torch.int64).numpy().tobytes()
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _repeat(items: tuple[Any, ...], factor: int) -> tuple[Any, ...]:
    return tuple(item for item in items for _ in range(factor))
