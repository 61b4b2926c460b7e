"""A batch of prompts, read once into a key-value cache, and what is continued from there.

Axes: B batch, T prompt tokens of the longest row (left-padded), N answer tokens, H hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from PIL import Image
from torch import Tensor
from transformers import PreTrainedModel

from interventions.patching.upstream import cache_argument, held, new_cache, parameters
from solvent.core.types import Box
from solvent.models.devices import input_device
from solvent.models.unembedding import Unembedding


@dataclass(frozen=True, kw_only=True)
class EncodedBatch:
    """Prompts as one model sees them."""

    uids: tuple[str, ...]
    inputs: Mapping[str, Any]  # keyword arguments of the model's forward, on its device
    positions: Int[Tensor, "*axis batch token"]  # axis: time, height, width with M-RoPE
    texts: tuple[str, ...]  # rendered prompts, one image token per image
    token_ids: tuple[tuple[int, ...], ...]  # tokens of `texts`
    prompt_tokens: tuple[int, ...]  # tokens per prompt, image tokens included
    image_tokens: tuple[int, ...]  # image tokens per prompt
    messages: tuple[Mapping[str, Any], ...] = ()  # the user's turns that were rendered
    regions: tuple[tuple[tuple[Box, ...], ...], ...] = ()  # of every picture of every prompt
    filler: tuple[tuple[str, ...], ...] = ()  # parts of every text that are none of the question
    noise: tuple[str | None, ...] = ()  # seeds of noise in the place of image embeddings
    picture_counts: tuple[int, ...] = ()  # of every prompt
    pictures: tuple[tuple[Image.Image, ...], ...] = ()  # of every prompt, in the order of its text
    names: tuple[tuple[str, ...], ...] = ()  # of these pictures, where features are kept
    unseen: Mapping[tuple[str, ...], Mapping[str, Tensor]] = field(default_factory=dict)
    """What the vision encoder takes of pictures whose features were not kept yet, by name."""


def on_device(model: PreTrainedModel, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Arguments of a model where its inputs go, pixels in its precision."""
    device = input_device(model)
    return {
        name: value.to(device, model.dtype if value.is_floating_point() else None)
        for name, value in inputs.items()
    }


class Prefill:
    """The prompts of a batch in the model's cache.

    Positions of rotary embeddings are always given, never left to the model: those of an answer
    go on one after the largest position of its own prompt (on whatever axis), so that neither
    padding, nor other rows, nor anything that the model remembers of an earlier call plays a role.
    """

    def __init__(
        self, model: PreTrainedModel, batch: EncodedBatch, unembedding: Unembedding
    ) -> None:
        self._model, self._unembedding = model, unembedding
        self._cache = new_cache(model)
        self._cached = {cache_argument(model): self._cache, "use_cache": True}
        self._axes = batch.positions.shape[:-2]
        self._next = batch.positions.reshape(-1, *batch.positions.shape[-2:]).amax(dim=(0, 2)) + 1
        self._mask = batch.inputs["attention_mask"]
        arguments = {"position_ids": batch.positions, **batch.inputs}
        if "logits_to_keep" in parameters(model):  # the others compute those of the whole prompt
            arguments["logits_to_keep"] = 1
        self.last: Float[Tensor, "batch hidden"] = self._forward(arguments)[:, -1]

    def extend(
        self, tokens: Int[Tensor, "batch new"], real: Bool[Tensor, "batch new"]
    ) -> Float[Tensor, "batch new hidden"]:
        """Read the next tokens of every row; where `real` is false they are padding."""
        self._mask = torch.cat([self._mask, real.to(self._mask)], dim=1)
        steps = torch.arange(tokens.shape[1], device=tokens.device)
        positions = self._next[:, None] + steps
        self._next = self._next + len(steps)
        positions = positions.expand(*self._axes, *positions.shape)
        arguments = {"position_ids": positions, "attention_mask": self._mask, "input_ids": tokens}
        hidden = self._forward(arguments)
        self.last = hidden[:, -1]
        return hidden

    def logits(self) -> Float[Tensor, "batch vocabulary"]:
        """Of the token after what was read last, float32."""
        return self._unembedding.logits(self.last)

    def next_tokens(self) -> Int[Tensor, " batch"]:
        """The likeliest token after what was read last."""
        return self.logits().argmax(dim=-1).to(self._mask.device)

    def score(self, answers: Sequence[Sequence[int]]) -> Float[Tensor, " batch"]:
        """Summed log-probability of one answer per row; 0 for an empty one.

        Leaves everything as it was. An answer's last token is predicted, but need not be read.
        """
        width = max(len(tokens) for tokens in answers)
        rows = [[*tokens, *[0] * (width - len(tokens))] for tokens in answers]
        targets = torch.tensor(rows, device=self._mask.device)
        lengths = torch.tensor([len(tokens) for tokens in answers], device=targets.device)
        column = torch.arange(width, device=targets.device)
        hidden = self.last[:, None]
        if width > 1:
            before = self.last, self._mask, self._next
            with held(self._cache):
                more = self.extend(targets[:, :-1], column[:-1] < lengths[:, None] - 1)
            self.last, self._mask, self._next = before
            hidden = torch.cat([hidden, more], dim=1)
        flat = targets.flatten().to(hidden.device)
        scores = self._unembedding.log_probabilities(hidden.flatten(0, 1), flat)
        scores = scores.view(targets.shape)
        inside = (column < lengths[:, None]).to(scores.device)
        return torch.where(inside, scores, 0.0).sum(dim=1)

    def _forward(self, arguments: Mapping[str, Any]) -> Float[Tensor, "batch kept hidden"]:
        """What the unembedding reads, from a call of the whole model: every hook on it is met.

        An intervention may look at the prompt before it edits; what it reads last counts.
        """
        seen: list[Tensor] = []
        unembedding = self._model.get_output_embeddings()
        handle = unembedding.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            self._model(**arguments, **self._cached)
        finally:
            handle.remove()
        return seen[-1]
