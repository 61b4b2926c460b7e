"""What questions are made of: every text, what counts as right, and the pictures' bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from solvent.core.digests import digests
from solvent.core.stored_fields import stored_fields
from solvent.core.types import Sample

FIELDS = ("uid", "text", "context", "options", "gold", "groups", "tags", "meta")


def digest_samples(samples: Sequence[Sample]) -> str:
    """SHA-256 over samples in their order, in hexadecimal; equal wherever their files lie.

    A picture that is missing counts as missing, so that it makes a difference when it is there.
    """
    pictures = [[image.content for image in sample.images] for sample in samples]
    files = digests([each for row in pictures for each in row if isinstance(each, Path)])
    digest = hashlib.sha256()
    for sample, row in zip(samples, pictures, strict=True):
        fields = {name: getattr(sample, name) for name in FIELDS}
        fields["images"] = [files[each] if isinstance(each, Path) else each for each in row]
        digest.update(json.dumps(fields, sort_keys=True, default=_plain).encode())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    """What JSON has no form for: pictures among the columns that are kept, dates, numbers."""
    found = getattr(value, "content", None)
    if isinstance(found, Path):
        return digests([found])[found]
    if found is not None:
        return found
    if isinstance(value, Mapping):
        return dict(value)
    return stored_fields(value) if hasattr(value, "__dict__") and vars(value) else str(value)
