"""Pictures inside of the page: small WebP files as `data:` addresses, within a budget of bytes."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

from PIL import Image

SIZES = ((320, 72), (240, 64), (176, 56), (128, 48))  # pixels of the longer side, WebP quality
SAMPLE = 24  # pictures that tell which size fits


def addresses(pictures: Sequence[Image.Image | None], budget: int) -> list[str | None]:
    """Every picture as an address, in the largest size at which all stay below `budget` bytes.

    Where the smallest is still too large, the first pictures are kept and the others are None.
    """
    there = [picture for picture in pictures if picture is not None]
    for size in SIZES:
        if size != SIZES[-1] and not _seems_to_fit(there, size, budget):
            continue
        found = [None if each is None else _address(each, *size) for each in pictures]
        if sum(len(each) for each in found if each) <= budget:
            return found
    left, kept = budget, list[str | None]()
    for each in found:
        left -= len(each or "")
        kept.append(each if left >= 0 else None)
    return kept


def _seems_to_fit(pictures: Sequence[Image.Image], size: tuple[int, int], budget: int) -> bool:
    """By some of them, so that a thousand pictures are not drawn four times."""
    some = pictures[:: max(1, len(pictures) // SAMPLE)]
    taken = sum(len(_address(picture, *size)) for picture in some)
    return taken * len(pictures) <= 1.1 * budget * max(1, len(some))


def _address(picture: Image.Image, side: int, quality: int) -> str:
    small = picture.convert("RGB")
    small.thumbnail((side, side))
    written = io.BytesIO()
    small.save(written, "WEBP", quality=quality, method=2)  # 4 takes half again as long
    return "data:image/webp;base64," + base64.b64encode(written.getvalue()).decode("ascii")
