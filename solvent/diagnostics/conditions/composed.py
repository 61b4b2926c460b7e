"""One condition after another: the picture of another sample and filler text, say.

In names, `swap+filler_after_64` is `swap` and then `filler_after_64`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from solvent.core.types import Condition, Sample
from solvent.diagnostics.conditions.keys import question_key

JOINT = "+"


@dataclass(frozen=True, kw_only=True)
class Composed:
    """Conditions in turn, each shown what the one before made; what they did is said together.

    Raises `ValueError` where two of them bring an intervention, as only one can be active.
    """

    parts: Sequence[Condition]

    def __post_init__(self) -> None:
        bringing = [part.name for part in self.parts if part.intervention is not None]
        if len(bringing) > 1:
            raise ValueError(
                f"{self.name} has {len(bringing)} conditions with an intervention of their own "
                f"({', '.join(bringing)}); compose one of them with others"
            )

    @property
    def name(self) -> str:
        """Names of the parts, joined by `+`."""
        return JOINT.join(part.name for part in self.parts)

    @property
    def intervention(self) -> Any:
        """That of the part that has one."""
        return next((p.intervention for p in self.parts if p.intervention is not None), None)

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """Samples for which all parts exist, in their order."""
        shown: dict[str, dict[str, str]] = {sample.uid: {} for sample in samples}
        views = list(samples)
        for part in self.parts:
            views = part.views(views)
            for view in views:
                shown[view.uid] |= view.shown
        return [replace(view, shown=shown[view.uid]) for view in views]


@dataclass(frozen=True, kw_only=True)
class AtMost:
    """A condition on a fixed subset of the questions: those whose hashed names come first.

    The choice depends on the names alone, so that it is the same under every condition. A question
    that is asked with its options in several orders is taken whole or not at all: answers are
    averaged over all of its orders.
    """

    condition: Condition
    samples: int  # questions

    @property
    def name(self) -> str:
        """That of the condition."""
        return self.condition.name

    @property
    def intervention(self) -> Any:
        """That of the condition."""
        return self.condition.intervention

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """The chosen questions as the condition shows them; donors still come from all samples."""
        questions = {question_key(sample) for sample in samples}
        order = sorted(questions, key=lambda name: blake2b(name.encode()).digest())
        chosen = set(order[: self.samples])
        return [view for view in self.condition.views(samples) if question_key(view) in chosen]


def compose(name: str, known: Mapping[str, Condition]) -> Condition:
    """The condition of this name: one that is known, or known ones joined by `+`.

    Raises `ValueError` when a part is not known.
    """
    missing = [part for part in name.split(JOINT) if part not in known]
    if missing:
        raise ValueError(
            f"{name!r} needs the condition {missing[0]!r}, which is not defined; "
            "add it to conf/conditions.yaml"
        )
    parts = tuple(known[part] for part in name.split(JOINT))
    return parts[0] if len(parts) == 1 else Composed(parts=parts)


def at_most(
    known: Mapping[str, Condition], names: Sequence[str], samples: int
) -> dict[str, Condition]:
    """These conditions, each on the same subset of the samples."""
    return {name: AtMost(condition=known[name], samples=samples) for name in names}
