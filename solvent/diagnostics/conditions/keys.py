"""What a condition's random choices depend on, and where texts say that an image stands."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from solvent.core.image_places import mentioned_images, without_image_places
from solvent.core.types import Sample

ROTATIONS = "circular"  # group kind of one question with its options in several orders


def question_key(sample: Sample) -> str:
    """A name of the question: the same for every order of its options."""
    return sample.groups.get(ROTATIONS, sample.uid)


def generator(*parts: object) -> np.random.Generator:
    """Random numbers that depend on these parts alone, the same on every machine."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def options_show_images(sample: Sample) -> bool:
    """Whether an option is, or holds, an image."""
    return any(mentioned_images(option) for option in sample.options)


def without_images(sample: Sample) -> Sample:
    """The sample without its images, and without the places where they stood in its texts."""
    context = sample.context
    return replace(
        sample,
        images=(),
        later=(),
        text=without_image_places(sample.text),
        context=None if context is None else without_image_places(context),
    )
