"""Noise in the place of what a picture becomes, as it enters the decoder.

Every image token of a prompt gets independent normal numbers with the mean and the standard
deviation of all numbers of this prompt's image tokens: two numbers of the picture are left. A mean
for every dimension would leave its average embedding, which says what is in it. Where image
features also enter later layers (DeepStack), each of these entries is replaced likewise.

Axes: B batch, T tokens of the padded prompts, N image tokens, H hidden size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from interventions.patching.decoders import named_arguments
from solvent.models.prefill import EncodedBatch
from solvent.models.refusals import ModelError

EMBEDDINGS = "inputs_embeds"  # argument of every decoder
OF_IMAGES = re.compile("imag|visi|visu|deepstack|cross_attention")  # in names of other arguments


@contextmanager
def noised(decoder: nn.Module, batch: EncodedBatch, image_token_id: int) -> Iterator[None]:
    """Replace the image embeddings of those prompts of the batch that have a seed for it, while it
    is read.

    Raises `ModelError` where the decoder gets images in a way that is not known here.
    """
    image = (batch.inputs["input_ids"] == image_token_id) & batch.inputs["attention_mask"].bool()

    def replaced(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        arguments = named_arguments(module, args, kwargs)
        embeddings = arguments.get(EMBEDDINGS)
        if embeddings is None or embeddings.shape[:2] != image.shape:
            raise ModelError(
                f"Expected the decoder to read a whole prompt of {image.shape[1]} tokens from "
                f"{EMBEDDINGS}, but it did not; noise_embeddings cannot be shown to this model."
            )
        level = embeddings[image.to(embeddings.device)]
        changed = {EMBEDDINGS: _put(embeddings, image, _noise(level, image, batch, 0))}
        for name, value in _others(arguments, len(level)).items():
            changed[name] = [
                _noise(each, image, batch, layer) for layer, each in enumerate(value, start=1)
            ]
        return (), arguments | changed

    handle = decoder.register_forward_pre_hook(replaced, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _others(arguments: Mapping[str, Any], tokens: int) -> dict[str, Any]:
    """Arguments with further image features, by layer. Raises `ModelError` for any other form."""
    found = {}
    for name, value in arguments.items():
        given = list(value) if isinstance(value, list | tuple) else [value]
        numbers = [each for each in given if isinstance(each, Tensor) and each.is_floating_point()]
        if not (OF_IMAGES.search(name) and numbers):
            continue
        if not (isinstance(value, list | tuple) and all(len(each) == tokens for each in numbers)):
            raise ModelError(
                f"Expected image features only among the embeddings of a prompt, or by layer in "
                f"lists with a row for each of {tokens} image tokens, but {name} is another thing; "
                "noise_embeddings cannot be shown to this model."
            )
        found[name] = value
    return found


def _put(
    embeddings: Float[Tensor, "batch token hidden"],
    image: Bool[Tensor, "batch token"],
    rows: Float[Tensor, "image hidden"],
) -> Float[Tensor, "batch token hidden"]:
    changed = embeddings.clone()
    changed[image.to(embeddings.device)] = rows
    return changed


def _noise(
    level: Float[Tensor, "image hidden"],
    image: Bool[Tensor, "batch token"],
    batch: EncodedBatch,
    layer: int,
) -> Float[Tensor, "image hidden"]:
    """The features of all image tokens of a batch, those of prompts with a seed as noise."""
    counts = image.sum(dim=1).tolist()
    parts = []
    for part, seed in zip(level.split(counts), batch.noise, strict=True):
        if seed is None or not len(part):
            parts.append(part)
            continue
        mean, spread = part.double().mean(), part.double().std(correction=0)
        drawn = torch.from_numpy(draws(f"{seed}/{layer}", tuple(part.shape)))
        parts.append((mean + spread * drawn.to(part.device)).to(part.dtype))
    return torch.cat(parts)


def draws(seed: str, shape: tuple[int, ...]) -> Float[np.ndarray, ...]:
    """Standard normal numbers that depend on the seed alone, the same on every machine."""
    digest = blake2b(seed.encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big")).standard_normal(shape)
