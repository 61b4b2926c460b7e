"""Where images stand inside a text: `<image:2>` is the place of the second one, counting from 1."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

Of = TypeVar("Of")
_PLACE = re.compile(r"<image:(\d+)>")
_PLACE_AND_SPACE = re.compile(f" ?{_PLACE.pattern}")


def image_place(number: int) -> str:
    """What stands in a text for an image."""
    return f"<image:{number}>"


def mentioned_images(text: str) -> list[int]:
    """Numbers of the images that a text mentions, in its order, as often as it does."""
    return [int(number) for number in _PLACE.findall(text)]


def in_text_order(text: str, of_images: Sequence[Of]) -> list[Of]:
    """What belongs to each image, image by image as they stand: those that a text does not mention
    before it, the others where it does.
    """
    mentioned = mentioned_images(text)
    leading = [each for number, each in enumerate(of_images, 1) if number not in mentioned]
    return leading + [of_images[number - 1] for number in mentioned]


def with_images(text: str, token: str) -> str:
    """The text with a model's image token in every place of an image."""
    return _PLACE.sub(lambda _: token, text)


def without_image_places(text: str) -> str:
    """The text of which the images are taken away, with the space before each of their places."""
    return _PLACE_AND_SPACE.sub("", text)
