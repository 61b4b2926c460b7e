"""The one class that composes where, what and how much."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from numbers import Integral
from typing import Any, ClassVar

from interventions.engine.noise import SCOPES
from interventions.methods.heads import HeadRule
from interventions.methods.masses import Keep, Mass, Shift
from interventions.methods.parts import Part
from interventions.methods.patterns import Learned, Pattern
from interventions.methods.probes import Probe
from interventions.methods.scaling import Calibration
from interventions.methods.selectors import (
    PHASES,
    WRITERS,
    check_choice,
    check_heads,
    check_layers,
    check_tokens,
)

PARTS = {
    "pattern": Pattern,
    "mass": Mass,
    "heads": HeadRule,
    "probe": Probe,
    "calibration": Calibration,
}


@dataclass(frozen=True, kw_only=True)
class Intervention(metaclass=Part):
    """What is done to attention; frozen, and its repr is its definition.

    Every value comes from a YAML file, so there are no defaults here. Lists become tuples.
    """

    usage: ClassVar[str] = 'load("uniform", layers="middle")'
    examples: ClassVar[Mapping[str, str]] = {
        "layers": 'layers="middle", layers="2-5" or layers=[0, 3]',
        "heads": 'heads="all", heads=[0, 3] or a rule of interventions.methods.heads',
        "rows": 'rows=["last"]',
        "keys": 'keys=["image"]',
        "phase": 'phase="both"',
        "mix_domain": 'mix_domain="weight"',
        "scope": 'scope="entry"',
    }

    name: str  # of the file it came from
    layers: str | int | Sequence[int]  # words, a range or indices, see `selectors.select_layers`
    heads: str | int | Sequence[int] | HeadRule  # "all", "random:N:SEED", indices or a rule
    rows: int | Sequence[str | int]  # roles or positions of the rows that are edited
    keys: int | Sequence[str | int]  # roles or positions of the keys that form the block
    probe: Probe | None  # narrows the block to some of these keys
    phase: str  # "prefill" (prompt rows), "decode" (generated rows) or "both"
    pattern: Pattern  # what replaces the learned pattern inside the block
    calibration: Calibration | None  # brings proposed scores to the scale of the learned ones
    mass: Mass  # how much of the row the block receives
    mix: float  # 0 learned ... 1 edited
    mix_domain: str  # "score" or "weight"
    value_gain: float  # on the values of the block's keys; the row then no longer sums to one
    head_gain: float  # on the output of the edited heads, in the edited rows
    scope: str  # what a random draw depends on, see `interventions.engine.noise.SCOPES`
    seed: int  # of all random draws

    def __post_init__(self) -> None:
        for field in ("layers", "heads", "rows", "keys"):
            value = getattr(self, field)
            if not isinstance(value, str | HeadRule):
                items = (value,) if isinstance(value, Integral) else value
                plain = (each if isinstance(each, str) else int(each) for each in items)
                object.__setattr__(self, field, tuple(plain))
        check_layers(self.layers)
        if isinstance(self.heads, str):
            check_heads(self.heads)
        check_tokens(self.rows, "rows")
        check_tokens(self.keys, "keys")
        check_choice(self.phase, PHASES, "phase")
        check_choice(self.mix_domain, ("score", "weight"), "mix_domain")
        check_choice(self.scope, tuple(SCOPES), "scope")
        if not 0.0 <= self.mix <= 1.0:
            raise ValueError(f"mix must be in [0, 1], got {self.mix}.")
        for field in ("value_gain", "head_gain"):
            if not (math.isfinite(getattr(self, field)) and getattr(self, field) >= 0.0):
                raise ValueError(f"{field} must be 0 or above, got {getattr(self, field)}.")

    @property
    def is_identity(self) -> bool:
        """Whether it is the untouched control: such an arm is delegated, bit for bit."""
        learned = isinstance(self.pattern, Learned) and self.calibration is None
        unmoved = isinstance(self.mass, Keep) or self.mass == Shift(factor=1.0)
        kept = (learned and unmoved) or self.mix == 0.0
        return kept and self.value_gain == 1.0 and self.head_gain == 1.0

    @property
    def leaks(self) -> bool:
        """Whether edited rows may sum to something other than one."""
        return self.mass.leaks or self.value_gain != 1.0 or self.head_gain != 1.0

    @property
    def token_probe(self) -> bool:
        """Whether the block is a set of tokens, the same for every head."""
        return self.probe is None or not self.probe.by_head

    @property
    def needs_whole_prompt(self) -> bool:
        """Whether the prompt may not come in chunks."""
        parts = (self.calibration, self.probe)
        return any(part is not None and part.needs_whole_prompt for part in parts)

    @property
    def needs_turns(self) -> bool:
        """Whether it names a role that only `log.expect(turns=...)` gives to tokens."""
        words = {
            word
            for each in fields(self)
            if each.name != "name"
            for word in _words(getattr(self, each.name))
        }
        return not words.isdisjoint(WRITERS.values())


def _words(value: Any) -> Iterator[str]:
    """All strings in a field, nested ones too."""
    if isinstance(value, str):
        yield value
    elif is_dataclass(value):
        for each in fields(value):
            yield from _words(getattr(value, each.name))
    elif isinstance(value, Mapping):
        for pair in value.items():
            yield from _words(pair)
    elif isinstance(value, Sequence):
        for each in value:
            yield from _words(each)
