"""The fields of a noun as they are written down.

Some stand there only where they say something, so that what was written before they existed keeps
its bytes and its digest.
"""

from __future__ import annotations

from typing import Any

from solvent.core.types import Accepted, Prediction

WHERE_SAID = {
    Prediction: ("thought", "thought_tokens", "cut", "question"),
    Accepted: ("prior",),
}
EMPTY = (None, ())


def stored_fields(value: Any) -> dict[str, Any]:
    """Name -> value of a dataclass."""
    optional = WHERE_SAID.get(type(value), ())
    return {
        name: each
        for name, each in vars(value).items()
        if name not in optional or each not in EMPTY
    }
