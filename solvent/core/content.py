"""What questions are made of: every text, what counts as right, and the pictures' bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from solvent.core.digests import digests
from solvent.core.stored_fields import stored_fields
from solvent.core.types import LazyImage, Sample

Content = str | Path | Sequence[str | Path]  # of a picture
FIELDS = ("uid", "text", "context", "options", "gold", "groups", "tags", "meta")


def digest_samples(samples: Sequence[Sample]) -> str:
    """SHA-256 over samples in their order, in hexadecimal; equal wherever their files lie.

    A picture that is missing counts as missing, so that it makes a difference when it is there.
    """
    pictures = [[image.content for image in sample.images] for sample in samples]
    parts = (part for row in pictures for content in row for part in _parts(content))
    files = digests({part for part in parts if isinstance(part, Path)})
    digest = hashlib.sha256()
    for sample, row in zip(samples, pictures, strict=True):
        fields = {name: getattr(sample, name) for name in FIELDS}
        fields["images"] = [_digested(content, files) for content in row]
        digest.update(json.dumps(fields, sort_keys=True, default=_plain).encode())
    return digest.hexdigest()


def files_of(images: Iterable[LazyImage]) -> list[Path]:
    """The files that pictures are read from, each once: what tells, by its times, that they are no
    longer those of before. Of a picture inside a table none is known.
    """
    alone = ((image, getattr(image, "file", None)) for image in images)
    several = (getattr(image, "files", ()) if file is None else (file,) for image, file in alone)
    return list(dict.fromkeys(file for files in several for file in files))


def _parts(content: Content) -> Sequence[str | Path]:
    return (content,) if isinstance(content, str | Path) else content


def _digested(content: Content, files: Mapping[Path, str | None]) -> Any:
    """The same with a digest in the place of every file."""
    found = [files[part] if isinstance(part, Path) else part for part in _parts(content)]
    return found[0] if isinstance(content, str | Path) else found


def _plain(value: Any) -> Any:
    """What JSON has no form for: pictures among the columns that are kept, dates, numbers."""
    found = getattr(value, "content", None)
    if found is not None:
        return _digested(found, digests(part for part in _parts(found) if isinstance(part, Path)))
    if isinstance(value, Mapping):
        return dict(value)
    return stored_fields(value) if hasattr(value, "__dict__") and vars(value) else str(value)
