"""A whole decoder written out with numpy in float64, and what a published method sees of it.

Nothing here uses the package's own arithmetic. An edit is a function of one row of one head that
returns the new weights of that row, from the definition in words; `forward` applies it with loops.

Axes: H heads, T tokens (rows and keys), P axes of rotary positions, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np
import torch
from transformers import PreTrainedModel

LAYERS, HEADS = 3, 4  # of the random models


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """One unpadded sequence: what enters the decoder, and which part every token plays."""

    embeddings: np.ndarray  # T, D
    positions: np.ndarray  # P, T
    roles: np.ndarray  # T words
    prompt: int  # tokens of the prompt
    uid: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of one head, and what a method may look at besides its own scores."""

    layer: int
    head: int
    position: int
    raw: np.ndarray  # H, T, T scores of this layer before the mask: future keys included
    hidden: np.ndarray  # T, D what enters the layer
    below: tuple[np.ndarray, ...]  # H, T, T weights of the layers before this one
    tokens: Tokens

    @property
    def scores(self) -> np.ndarray:
        """Of the keys up to the row itself."""
        return self.raw[self.head, self.position, : self.position + 1]

    @property
    def weights(self) -> np.ndarray:
        return softmax(self.scores)

    @property
    def image(self) -> np.ndarray:
        return self.having("image")

    def having(self, *roles: str) -> np.ndarray:
        """Keys with one of these roles."""
        return np.isin(self.tokens.roles[: self.position + 1], roles)

    def heads(self) -> list[Row]:
        """The same row in every head."""
        return [replace(self, head=head) for head in range(len(self.raw))]


Edit = Callable[[Row], np.ndarray]


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def rotate(vectors: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotary position embedding of (H, T, D) by (T, D/2); x_i turns with x_{i + D/2}."""
    half = vectors.shape[-1] // 2
    first, second = vectors[..., :half], vectors[..., half:]
    cosine, sine = np.cos(angles), np.sin(angles)
    return np.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)


def rotary_angles(model: PreTrainedModel, positions: np.ndarray, width: int) -> np.ndarray:
    """(T, D/2): every frequency turns with one axis of the positions (Qwen's has three)."""
    rope, half = model.config.text_config.rope_parameters, width // 2
    axis = np.repeat(np.arange(3), rope.get("mrope_section", [half, 0, 0]))
    return positions[axis].T * rope["rope_theta"] ** (-np.arange(half) / half)


def forward(
    model: PreTrainedModel,
    tokens: Tokens,
    edit: Edit,
    layers: Collection[int] = range(LAYERS),
    rows: Collection[str] = ("question", "last", "generated"),
) -> np.ndarray:
    """Logits of every token; rows with these roles are edited in these layers."""
    config, hidden = model.config.text_config, tokens.embeddings
    state = {key: value.double().numpy() for key, value in model.state_dict().items()}
    length, count = len(hidden), config.num_attention_heads
    width, group = config.hidden_size // count, count // config.num_key_value_heads
    angles = rotary_angles(model, tokens.positions, width)

    def norm(vectors: np.ndarray, name: str) -> np.ndarray:
        mean = (vectors**2).mean(axis=-1, keepdims=True)
        return vectors / np.sqrt(mean + config.rms_norm_eps) * state[f"{name}.weight"]

    def project(vectors: np.ndarray, name: str) -> np.ndarray:
        return vectors @ state[f"{name}.weight"].T + state.get(f"{name}.bias", 0.0)

    below: tuple[np.ndarray, ...] = ()
    for layer in range(config.num_hidden_layers):
        prefix = f"model.language_model.layers.{layer}"
        normed = norm(hidden, f"{prefix}.input_layernorm")
        query, key, value = (
            project(normed, f"{prefix}.self_attn.{part}_proj")
            .reshape(length, -1, width)
            .transpose(1, 0, 2)
            for part in "qkv"
        )
        query, key = rotate(query, angles), rotate(key, angles)
        key, value = key.repeat(group, axis=0), value.repeat(group, axis=0)
        raw = query @ key.transpose(0, 2, 1) / np.sqrt(width)
        weights = np.zeros_like(raw)
        for head in range(count):
            for position in range(length):
                row = Row(
                    layer=layer,
                    head=head,
                    position=position,
                    raw=raw,
                    hidden=hidden,
                    below=below,
                    tokens=tokens,
                )
                chosen = layer in layers and tokens.roles[position] in rows
                weights[head, position, : position + 1] = edit(row) if chosen else row.weights
        below = (*below, weights)
        output = (weights @ value).transpose(1, 0, 2).reshape(length, -1)
        hidden = hidden + project(output, f"{prefix}.self_attn.o_proj")
        normed = norm(hidden, f"{prefix}.post_attention_layernorm")
        gate = project(normed, f"{prefix}.mlp.gate_proj")
        inside = gate / (1 + np.exp(-gate)) * project(normed, f"{prefix}.mlp.up_proj")
        hidden = hidden + project(inside, f"{prefix}.mlp.down_proj")
    return norm(hidden, "model.language_model.norm") @ state["lm_head.weight"].T


def continued(inputs: dict[str, torch.Tensor], answer: torch.Tensor) -> dict[str, torch.Tensor]:
    """The inputs of one unpadded row, with tokens of an answer behind them."""
    whole = dict(inputs)
    whole["input_ids"] = torch.cat([inputs["input_ids"], answer[None]], dim=1)
    whole["attention_mask"] = torch.ones_like(whole["input_ids"])
    if "mm_token_type_ids" in inputs:
        types = torch.zeros_like(answer[None], dtype=torch.int)
        whole["mm_token_type_ids"] = torch.cat([inputs["mm_token_type_ids"], types], dim=1)
    return whole


def tokens_of(
    model: PreTrainedModel, inputs: dict[str, torch.Tensor], answer: torch.Tensor, uid: str
) -> Tokens:
    """What the unmodified model hands to its decoder, image features in place."""
    whole, caught = continued(inputs, answer), {}
    handle = model.get_decoder().register_forward_pre_hook(
        lambda module, args, kwargs: caught.update(kwargs), with_kwargs=True
    )
    with torch.no_grad():
        model(**whole)
    handle.remove()
    ids = whole["input_ids"][0]
    positions = caught["position_ids"]
    if positions is None:
        positions = torch.arange(len(ids)).expand(3, 1, -1)
    prompt = len(ids) - len(answer)
    return Tokens(
        embeddings=caught["inputs_embeds"][0].double().numpy(),
        positions=positions[:, 0].double().numpy(),
        roles=roles_of((ids == model.config.image_token_id).tolist(), prompt),
        prompt=prompt,
        uid=uid,
    )


def roles_of(image: list[bool], prompt: int) -> np.ndarray:
    """The part of every token of a prompt with an image, and of the answer behind it."""
    roles, seen = [], False
    for position, is_image in enumerate(image):
        seen = seen or is_image
        if position >= prompt:
            roles.append("generated")
        elif is_image:
            roles.append("image")
        elif position == prompt - 1:
            roles.append("last")
        else:
            roles.append("question" if seen else "system")
    return np.array(roles)
