"""How the tensors that interventions read from files are made: one small class for each kind.

A recipe sees a model through its interface (`solvent.core.types.VLM`) and the samples of a
calibration split in groups that are read together, and returns named tensors: those of
`patterns.Stored`, `patterns.StoredScale` and `masses.Fitted`.

Axes: S samples, L layers, H heads, R last prompt rows, N image tokens.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from interventions.errors import InterventionError
from interventions.looking.capture import Attention
from interventions.methods.parts import Part


class Prompts(Protocol):
    """Prompts that are read together."""

    def prompts(self) -> Sequence[Any]:
        """As a model takes them: uid, images and text. Loads the pictures."""


class Group(Prompts, Protocol):
    """Samples that are read together."""

    def candidates(self) -> Sequence[Sequence[str]]:
        """Candidate answers of every sample."""

    def gold(self) -> Sequence[int]:
        """Index of the right candidate of every sample."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a recipe gives: tensors by name, and figures that say how it went."""

    tensors: dict[str, Tensor]
    report: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Recipe(metaclass=Part):
    """Base of all recipes."""

    looks_at_samples: ClassVar[bool] = True  # whether the result depends on what is in the split
    depends_on_intervention: ClassVar[bool] = False  # or is the same wherever it is used

    def passes(self, groups: int) -> int:
        """How often `advance` will be called."""
        return groups

    @abstractmethod
    def make(
        self,
        model: Any,
        intervention: Any,
        groups: Sequence[Group],
        advance: Callable[[], None],
    ) -> Made:
        """Run the model over the groups; `advance` is called after each piece of work.

        Raises `InterventionError` when samples have different numbers of image tokens.
        """


@dataclass(frozen=True, kw_only=True)
class MeanPattern(Recipe):
    """`pattern` (1, L, H, N): mean over samples of the last prompt row's learned pattern."""

    def make(
        self,
        model: Any,
        intervention: Any,
        groups: Sequence[Group],
        advance: Callable[[], None],
    ) -> Made:
        seen = look(model, groups, 1, advance)
        return Made(tensors={"pattern": _patterns(seen).mean(dim=0, keepdim=True)}, report={})


@dataclass(frozen=True, kw_only=True)
class Donors(Recipe):
    """`pattern` (S, L, H, N): the last prompt row's learned pattern of every sample, in float16."""

    def make(
        self,
        model: Any,
        intervention: Any,
        groups: Sequence[Group],
        advance: Callable[[], None],
    ) -> Made:
        seen = look(model, groups, 1, advance)
        return Made(tensors={"pattern": _patterns(seen).half()}, report={})


@dataclass(frozen=True, kw_only=True)
class FlatteningScale(Recipe):
    """`scale` (1, L, H, N): the factor that would flatten attention on a meaningless picture.

    k_hj = mean over the last prompt rows of ((1 - beta) a_j + beta mean(a)) / a_j, with a the
    weights on image tokens when the first sample's pictures are painted over and a neutral question
    is asked. Source: CAAC, https://github.com/mehrdadfazli/CAAC
    """

    looks_at_samples: ClassVar[bool] = False
    beta: float  # in [0, 1]; 0 changes nothing
    rows: int  # last prompt rows
    colour: Sequence[int]  # of the picture, RGB, 0 to 255
    question: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "colour", tuple(self.colour))
        if not 0.0 <= self.beta <= 1.0:
            raise ValueError(f"beta must be in [0, 1], got {self.beta}.")

    def passes(self, groups: int) -> int:
        return 1

    def make(
        self,
        model: Any,
        intervention: Any,
        groups: Sequence[Group],
        advance: Callable[[], None],
    ) -> Made:
        sample = groups[0].prompts()[0]
        painted = tuple(_painted(image, self.colour) for image in sample.images)
        reference = _Prompts([replace(sample, uid="reference", images=painted, text=self.question)])
        (seen,) = look(model, [reference], self.rows, advance)
        return Made(tensors={"scale": self.flattening(seen.pattern)[None]}, report={})

    def flattening(
        self, weights: Float[Tensor, "layer head row token"]
    ) -> Float[Tensor, "layer head token"]:
        """The formula; a common factor of all weights of a row plays no role."""
        weights = weights.clamp_min(torch.finfo(torch.float32).tiny)
        mean = weights.mean(dim=-1, keepdim=True)
        return (((1.0 - self.beta) * weights + self.beta * mean) / weights).mean(dim=2)


@dataclass(frozen=True)
class _Prompts:
    """A group whose prompts are known."""

    known: Sequence[Any]

    def prompts(self) -> Sequence[Any]:
        return self.known


def look(
    model: Any, groups: Sequence[Prompts], rows: int, advance: Callable[[], None]
) -> list[Attention]:
    """Learned attention of the last prompt rows of every sample, as many image tokens in each."""
    seen: list[Attention] = []
    for group in groups:
        with model.capture(rows) as captured:
            model.generate(model.encode(group.prompts()), 1)
            seen += captured.take()
        advance()
    if any(sample.pattern.isnan().any() for sample in seen):
        raise InterventionError(
            "A file holds one pattern per layer, but some layers of this model have no attention "
            "matrix; choose an intervention that reads no file."
        )
    counts = sorted({sample.pattern.shape[-1] for sample in seen})
    if len(counts) != 1:
        raise InterventionError(
            f"A file holds one weight per image token, but the samples have {counts or 'no'} image "
            "tokens; make all pictures equally large, as with model.min_pixels = model.max_pixels."
        )
    return seen


def _patterns(seen: Sequence[Attention]) -> Float[Tensor, "sample layer head token"]:
    return torch.stack([sample.pattern[:, :, -1] for sample in seen])


def _painted(image: Any, colour: Sequence[int]) -> Any:
    """A picture of the same size in one colour."""
    plain = image.copy()
    plain.paste(tuple(colour), (0, 0, *plain.size))
    return plain
