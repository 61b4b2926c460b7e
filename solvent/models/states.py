"""What the decoder holds of the image and of the question, layer by layer, while prompts are read.

    with vlm.watch_states() as seen:
        vlm.rank(batch, candidates)
    seen.take()["uid"].last  # (layers + 1, hidden), NumPy, float32

Every token is divided by its root mean square first: attention sinks and other tokens of huge norm
would otherwise be all that a mean shows, and a scale that all tokens of a sample share would look
like shared content. Sun et al. (2024), https://arxiv.org/abs/2402.17762.

Axes: B batch, T tokens of the padded prompts, H hidden size, L decoder layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from interventions.patching.decoders import named_arguments
from solvent.models.prefill import EncodedBatch
from solvent.models.refusals import ModelError


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleStates:
    """Of one sample: layer 0 is what enters the decoder, layer l what its l-th layer gives."""

    image: Float[np.ndarray, "layer hidden"]  # mean over image tokens; NaN without an image
    last: Float[np.ndarray, "layer hidden"]  # last prompt token
    question: Float[np.ndarray, "layer hidden"]  # mean over the tokens after the last image token


@dataclass(eq=False)
class StateWatch:
    """Yielded by `VLM.watch_states`: keeps states of every prompt that is read, until `take`."""

    blocks: Sequence[nn.Module]  # decoder layers
    image_token_id: int
    _seen: dict[str, SampleStates] = field(default_factory=dict)

    def take(self) -> dict[str, SampleStates]:
        """Return and forget what was seen, by uid; of a prompt read twice, the second time."""
        seen, self._seen = self._seen, {}
        return seen

    @contextmanager
    def reading(self, batch: EncodedBatch) -> Iterator[None]:
        """Look while this batch is read. Nothing of what the model computes is changed.

        Raises `ModelError` when the prompts are not read in one piece.
        """
        ids, real = batch.inputs["input_ids"], batch.inputs["attention_mask"].bool()
        roles = prompt_roles(ids, real, self.image_token_id)
        # By layer: an intervention may look at the prompt before it edits; what comes last counts.
        found: dict[int, Float[Tensor, "batch role hidden"]] = {}

        def keep(layer: int, hidden: Tensor) -> None:
            if hidden.shape[:2] != ids.shape:
                raise ModelError(
                    f"States are read from whole prompts of {ids.shape[1]} tokens, but a decoder "
                    f"layer was called with {hidden.shape[1]}; turn chunked prefill off."
                )
            found[layer] = summaries(hidden, real, roles)

        def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            keep(0, named_arguments(module, args, kwargs)["hidden_states"])

        def after(layer: int, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            keep(layer, output if isinstance(output, Tensor) else output[0])

        with ExitStack() as hooks:
            handle = self.blocks[0].register_forward_pre_hook(before, with_kwargs=True)
            hooks.callback(handle.remove)
            for layer, block in enumerate(self.blocks, start=1):
                hooks.callback(block.register_forward_hook(partial(after, layer)).remove)
            yield
        layers = [found[layer].cpu() for layer in range(len(self.blocks) + 1)]
        states = torch.stack(layers, dim=2).numpy()  # batch, role, layer, hidden
        for uid, (image, question, last) in zip(batch.uids, states, strict=True):
            self._seen[uid] = SampleStates(image=image, last=last, question=question)


def prompt_roles(
    ids: Int[Tensor, "batch token"], real: Bool[Tensor, "batch token"], image_token_id: int
) -> Bool[Tensor, "role batch token"]:
    """Which tokens are the image, the question (all real tokens behind the last image), the last.

    Without an image the question is the whole prompt. Rows are padded on the left.
    """
    image = real & (ids == image_token_id)
    behind = image.flip(1).cumsum(dim=1).flip(1) == 0
    last = torch.zeros_like(real)
    last[:, -1] = True
    return torch.stack([image, real & behind, last])


def summaries(
    hidden: Float[Tensor, "batch token hidden"],
    real: Bool[Tensor, "batch token"],
    roles: Bool[Tensor, "role batch token"],
) -> Float[Tensor, "batch role hidden"]:
    """Mean over the tokens of every role, each token first divided by its RMS, float32.

    NaN where a role has no token; padding may hold anything.
    """
    hidden = hidden.detach().float().masked_fill(~real.to(hidden.device)[..., None], 0.0)
    scale = hidden.square().mean(dim=-1, keepdim=True).sqrt()
    tokens = hidden / scale.clamp_min(torch.finfo(torch.float32).tiny)
    weights = roles.to(tokens).movedim(0, 1)
    return (weights @ tokens) / weights.sum(dim=-1, keepdim=True)
