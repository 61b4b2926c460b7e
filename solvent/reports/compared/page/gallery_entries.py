"""Entries of the gallery of flips, each arm's first ones before all others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from solvent.reports.compared.frames import Flip
from solvent.reports.compared.page.thumbnails import addresses

MOST = 300  # questions: more is not looked through, and takes long to draw
KINDS = ("picture", "control_attention", "arm_attention")


def entries(flips: Sequence[Flip], arms: Mapping[str, Mapping[str, Any]], budget: int) -> Any:
    """What the template of the gallery shows: `flips`, and how many are left out.

    Args:
        flips: all.
        arms: those that the page shows, by key.
        budget: bytes of all pictures; they are given to the first questions of every arm first.
    """
    shown = [flip for flip in flips if flip.arm in arms]
    turns = _turns(shown)
    chosen = sorted(range(len(shown)), key=lambda place: (turns[place], place))[:MOST]
    pictures = [getattr(shown[place], kind) for place in chosen for kind in KINDS]
    found = addresses(pictures, budget) if budget > 0 else [None] * len(pictures)
    made = {
        place: {
            "flip": shown[place],
            "arm": arms[shown[place].arm],
            "pictures": dict(zip(KINDS, found[3 * turn : 3 * turn + 3], strict=True)),
            "left_out": shown[place].picture is not None,
        }
        for turn, place in enumerate(chosen)
    }
    return {
        "flips": [made[place] for place in sorted(made)],
        "flips_left_out": len(flips) - len(made),
    }


def _turns(flips: Sequence[Flip]) -> list[int]:
    """Of every question its number among those of its arm."""
    seen: dict[str, int] = defaultdict(int)
    turns = []
    for flip in flips:
        turns.append(seen[flip.arm])
        seen[flip.arm] += 1
    return turns
