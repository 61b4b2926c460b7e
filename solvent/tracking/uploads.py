"""What a dashboard shows of a cell: flat numbers, and a table of predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import Image

from solvent.core.over_layers import over_layers
from solvent.core.redaction import redacted_text
from solvent.core.types import Prediction, Sample, in_words

GAP = 8  # px between the pictures of one sample
COLUMNS = ("uid", "image", "question", "options", "gold", "answer", "raw", "status", "credit",
           "visual_mass_before", "visual_mass_after", "visual_entropy_nats_before",
           "visual_entropy_nats_after")  # fmt: skip


def flat(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested metrics by stable names: `score/value`, `visual_mass/before`."""
    numbers: dict[str, Any] = {}
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            numbers |= flat(value, f"{prefix}{key}/")
        else:
            numbers[f"{prefix}{key}"] = value
    return numbers


def evenly(total: int, wanted: int) -> list[int]:
    """So many positions out of all, evenly spaced."""
    kept = min(total, wanted)
    return [index * total // kept for index in range(kept)]


def row(prediction: Prediction, sample: Sample, side: int) -> dict[str, Any]:
    """One prediction by column; its picture is small, and None where it cannot be read."""
    measured = (prediction.visual_mass, prediction.visual_entropy)
    texts = (
        sample.text,
        ", ".join(sample.options),
        in_words(prediction.gold, sample.options),
        in_words(prediction.parsed, sample.options),
        prediction.raw,
    )
    values = (
        prediction.uid,
        None if prediction.status == "error" else picture(sample, side),
        *(None if text is None else redacted_text(text) for text in texts),
        prediction.status,
        prediction.credit,
        *(
            over_layers(getattr(layers, when, ()))
            for layers in measured
            for when in ("before", "after")
        ),
    )
    return dict(zip(COLUMNS, values, strict=True))


def picture(sample: Sample, side: int) -> Image.Image | None:
    """The pictures of a sample side by side, the longest side of each at most so many px."""
    try:
        pictures = [image.load().copy() for image in sample.images]
    except OSError:
        return None  # it may have been moved since it was answered
    for each in pictures:
        each.thumbnail((side, side))
    if len(pictures) < 2:
        return pictures[0] if pictures else None
    width = sum(each.width + GAP for each in pictures) - GAP
    strip = Image.new("RGB", (width, max(each.height for each in pictures)), "white")
    left = 0
    for each in pictures:
        strip.paste(each, (left, 0))
        left += each.width + GAP
    return strip
