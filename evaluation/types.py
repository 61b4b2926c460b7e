"""The nouns of the project. Open this first when lost; it imports nothing of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from PIL import Image

Status = Literal["ok", "ambiguous", "none", "error"]
"""What reading one answer gave: one answer, several that disagree, nothing readable, or a failed sample."""


class LazyImage(Protocol):
    """An image that is decoded only when somebody looks at it."""

    @property
    def identity(self) -> str:
        """A stable name: two images with equal identity have equal pixels (donors are drawn by it)."""

    def load(self) -> Image.Image:
        """The picture in RGB, transparency composited on white. Raises `OSError` when unreadable."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One question of a benchmark, before any prompt is written."""

    uid: str  # stable: benchmark/split/key, never a bare row number
    images: tuple[LazyImage, ...]  # in prompt order; empty for a text-only condition
    text: str  # the question alone
    options: tuple[str, ...]  # candidate answers as text, no letters
    gold: int  # index into options
    context: str | None = None  # caption, hint or passage: separate, so that it can be dropped or replaced
    groups: Mapping[str, str] = field(default_factory=dict)  # group kind -> key, for "all right" scores
    tags: Mapping[str, str] = field(default_factory=dict)  # slices of the table
    meta: Mapping[str, Any] = field(default_factory=dict)  # original columns worth keeping


Condition = Callable[[Sample], Sample]
"""What the model is shown: a named, frozen `Sample -> Sample`; `real` is the identity."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What one sample becomes for a model: pictures and the user's text, before the chat template."""

    uid: str
    images: tuple[Image.Image, ...]
    text: str


@dataclass(frozen=True, kw_only=True)
class CandidateScore:
    """How likely one candidate answer is, turn terminator included."""

    log_probability: float  # natural logarithm, summed over tokens in float32, not normalised
    tokens: int  # number of tokens summed


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One answer: a line of `predictions.jsonl`. Nothing in it differs between two equal runs."""

    uid: str
    condition: str
    raw: str | None  # the generated text; None when candidates were ranked
    scores: tuple[CandidateScore, ...] | None  # one per option, in option order; None when generated
    parsed: int | None  # index of the option that was chosen
    gold: int
    status: Status
    credit: float  # in [0, 1]
    visual_mass: tuple[float, float] | None  # before and after, in [0, 1]; None where no row saw an image
    cells_edited: int  # (layer, head, row, key) cells of this sample that the intervention touched
    groups: Mapping[str, str]
    tags: Mapping[str, str]
    error: str | None = None  # one sentence, with status "error"


class Batch(Protocol):
    """Prompts as one model sees them: tokenised, padded, on the device. Opaque to everyone else."""

    uids: Sequence[str]


class VLM(Protocol):
    """A checkpoint behind one interface, whatever its family."""

    name: str

    def encode(self, prompts: Sequence[Prompt]) -> Batch:
        """Tokenise and pad; one row per prompt."""

    def rank(self, batch: Batch, candidates: Sequence[Sequence[str]]) -> list[list[CandidateScore]]:
        """Score every candidate answer of every prompt."""

    def generate(self, batch: Batch, max_new_tokens: int) -> list[str]:
        """Answer greedily, special tokens removed."""

    def intervene(self, intervention: Any) -> AbstractContextManager[Any]:
        """Apply an intervention for the length of a `with` block; yields its log."""

    def provenance(self) -> dict[str, Any]:
        """Checkpoint, revision, dtype, device and processor settings, for the run's record."""


class Benchmark(Protocol):
    """Where rows come from, how they are asked, read and scored."""

    name: str
    chance: float  # score of a model that guesses, in [0, 1]

    def samples(self) -> Sequence[Sample]:
        """All samples, in a fixed order that is independent of the machine."""
