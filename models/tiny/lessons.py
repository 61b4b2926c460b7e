"""Training batches of `tiny`, a pure function of (seed, step).

Axes: B images, T tokens, P patches.

A lesson packs several questions behind one picture: `user + image` is a shared prefix, every
question is a block that sees the prefix and itself, and positions restart after the image, so a
block reads exactly like a prompt of its own. Some blocks are text-only: they see no image and their
answers follow the `prior` law, which is how the model comes to have language priors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property, partial
from random import Random

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from benchmarks.shapes.drawing import CELL, draw
from benchmarks.shapes.questions import (
    ASKERS,
    KINDS,
    PLURAL,
    Asker,
    Question,
    caption,
    override,
)
from benchmarks.shapes.world import COLOURS, SHAPES, SIZES, Scene, draw_scene
from models.tiny.architecture import PATCHES
from models.tiny.text import END, IMAGE, PAD, PATCH, START

BALANCED_SHARE = 0.6  # of the pictures; the rest follow the priors
QUESTIONS, BLIND_QUESTIONS = 8, 1  # per picture
IGNORED = -100
SIGHTED: Mapping[str, Asker] = {**ASKERS, "override": partial(override, truthful=0.5)}
BLIND: Mapping[str, Asker] = {
    **ASKERS,
    "override": partial(override, truthful=0.9),
    "caption": partial(caption, truthful=0.6),
}


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of the language stage."""

    start: int  # first step
    shares: Mapping[str, float]  # of the question types
    probe_weight: float  # of the probe's loss, beside 1 for the answers
    groups: float  # share of the pictures that are drawn until some shape occurs more than once


def _shares(*percent: int) -> dict[str, float]:
    return {kind: share / 100 for kind, share in zip(KINDS, percent, strict=True)}


# First what one look answers, then relations, then comparing, last counting: the slowest to learn.
# Columns: existence, colour, count, where, relation, size, comparison, caption, override.
CURRICULUM = (
    Phase(start=0, shares=_shares(18, 14, 18, 20, 4, 12, 4, 5, 5), probe_weight=0.5, groups=0.0),
    Phase(start=1800, shares=_shares(13, 7, 16, 12, 19, 8, 13, 7, 5), probe_weight=0.5, groups=0.0),
    Phase(start=3200, shares=_shares(14, 6, 28, 4, 7, 4, 27, 6, 4), probe_weight=2.5, groups=0.0),
    Phase(start=4300, shares=_shares(14, 7, 33, 5, 8, 5, 17, 7, 4), probe_weight=2.5, groups=0.7),
)


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """One training batch."""

    pixels: Tensor  # (B, 3, 64, 64) in [-1, 1]
    tokens: Tensor  # (B, T)
    positions: Tensor  # (B, T)
    visible: Tensor  # (B, 1, T, T) bool: row may attend to column
    targets: Tensor  # (B, T) next token where an answer is predicted, else -100
    mentions: (
        Tensor  # (M, 2) batch and token index of every noun that names something in the picture
    )
    facts: (
        Tensor  # (M, 5) number, colour, row, column, size of what it names; -100 where not unique
    )

    def to(self, device: torch.device) -> Lesson:
        """The same batch elsewhere."""
        return Lesson(
            **{field.name: getattr(self, field.name).to(device) for field in fields(self)}
        )


def pictures(scenes: list[Scene], rng: Random) -> Tensor:
    """(B, 3, 64, 64) in [-1, 1], as the image processor would give them."""
    images = np.stack([draw(scene, rng) for scene in scenes])
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def patch_facts(scenes: list[Scene]) -> Tensor:
    """(B, P, 5) shape, colour, size, right half, lower half of the object on each patch; -100 on
    background.
    """
    side, patches = int(PATCHES**0.5), CELL // PATCH
    facts = np.full((len(scenes), side, side, 5), IGNORED)
    for picture, scene in zip(facts, scenes, strict=True):
        for thing in scene:
            top, left = thing.row * patches, thing.column * patches
            picture[top : top + patches, left : left + patches] = (
                SHAPES.index(thing.shape),
                COLOURS.index(thing.colour),
                SIZES.index(thing.size),
                thing.column >= 2,
                thing.row >= 2,
            )
    return torch.from_numpy(facts.reshape(len(scenes), PATCHES, 5))


@dataclass(frozen=True)
class Row:
    """One picture with its questions, before padding; the lists are filled by `Teacher.pack`."""

    tokens: list[int]
    positions: list[int]
    blocks: list[int]  # 0 prefix, k > 0 a question about the picture, k < 0 a text-only one
    targets: list[int]
    mentions: list[tuple[int, list[int]]]  # token index of a noun, and the facts it refers to


@dataclass(frozen=True)
class Teacher:
    """Turns scenes into lessons for one tokenizer."""

    tokenizer: PreTrainedTokenizerFast

    def encode(self, text: str) -> list[int]:
        """Token ids without special treatment."""
        return self.tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids

    def word(self, text: str) -> int:
        """The id of a word that must be one token."""
        (token,) = self.encode(text)
        return token

    @cached_property
    def _nouns(self) -> dict[int, str]:
        return {self.word(f" {form}"): shape for shape in SHAPES for form in (shape, PLURAL[shape])}

    @cached_property
    def _colours(self) -> dict[int, str]:
        return {self.word(f" {colour}"): colour for colour in COLOURS}

    def scenes(self, rng: Random, number: int, groups: float = 0.0) -> list[Scene]:
        """Scenes of both laws; a share of them certainly holds a group of equal shapes."""
        return [self._scene(rng, groups) for _ in range(number)]

    def _scene(self, rng: Random, groups: float) -> Scene:
        law = "balanced" if rng.random() < BALANCED_SHARE else "prior"
        scene = draw_scene(rng, law)
        if groups and rng.random() < groups:
            while len({thing.shape for thing in scene}) == len(scene):
                scene = draw_scene(rng, law)
        return scene

    def lesson(self, rng: Random, scenes: list[Scene], shares: Mapping[str, float]) -> Lesson:
        """Draw the questions and pack them."""
        rows = []
        for scene in scenes:
            asked = [_ask(rng, scene, SIGHTED, shares) for _ in range(QUESTIONS)]
            blind = [
                _ask(rng, draw_scene(rng, "prior"), BLIND, shares) for _ in range(BLIND_QUESTIONS)
            ]
            rows.append(self.pack(scene, asked, blind))
        return self.collate(rows, pictures(scenes, rng))

    def pack(self, scene: Scene, asked: list[Question], blind: list[Question]) -> Row:
        """One picture with its questions as a row of tokens."""
        user = self.encode(f"{START}user\n")
        closing = self.encode(f"{END}\n{START}assistant\n")
        end = self.word(END)
        tokens = user + [self.word(IMAGE)] * PATCHES
        prefix = len(tokens)
        row = Row(tokens, list(range(prefix)), [0] * prefix, [IGNORED] * prefix, [])
        for number, question in enumerate(asked + blind, start=1):
            sighted = number <= len(asked)
            opening = self.encode("\n") if sighted else user
            body = opening + self.encode(question.text) + closing
            answer = [*self.encode(question.answer), end]
            start = prefix if sighted else 0
            if sighted:
                self._ground(row, scene, body)
            length = len(body) + len(answer)
            row.tokens.extend(body + answer)
            row.positions.extend(range(start, start + length))
            row.blocks.extend([number if sighted else -number] * length)
            row.targets.extend([IGNORED] * (len(body) - 1) + answer + [IGNORED])
        return row

    def _ground(self, row: Row, scene: Scene, body: list[int]) -> None:
        offset = len(row.tokens)
        for index, token in enumerate(body):
            if (shape := self._nouns.get(token)) is None:
                continue
            colour = self._colours.get(body[index - 1])
            named = [
                thing for thing in scene if thing.shape == shape and colour in (None, thing.colour)
            ]
            facts = [len(named)] + [IGNORED] * 4
            if len(named) == 1:
                (thing,) = named
                facts[1:] = (
                    COLOURS.index(thing.colour),
                    thing.row,
                    thing.column,
                    SIZES.index(thing.size),
                )
            row.mentions.append((offset + index, facts))

    def collate(self, rows: list[Row], pixels: Tensor) -> Lesson:
        """Pad the rows to one length and build the mask."""
        length = -(-max(len(row.tokens) for row in rows) // 32) * 32
        padding = {"tokens": self.word(PAD), "positions": 0, "blocks": 10**6, "targets": IGNORED}

        def stack(name: str) -> Tensor:
            table = np.full((len(rows), length), padding[name])
            for index, row in enumerate(rows):
                values = getattr(row, name)
                table[index, : len(values)] = values
            return torch.from_numpy(table)

        blocks = stack("blocks")
        same = blocks[:, :, None] == blocks[:, None, :]
        prefix = (blocks[:, None, :] == 0) & (blocks[:, :, None] > 0)
        causal = torch.ones(length, length, dtype=torch.bool).tril()
        mentions = [
            (index, place, facts) for index, row in enumerate(rows) for place, facts in row.mentions
        ]
        return Lesson(
            pixels=pixels,
            tokens=stack("tokens"),
            positions=stack("positions"),
            visible=((same | prefix) & causal)[:, None],
            targets=stack("targets"),
            mentions=torch.tensor([(index, place) for index, place, _ in mentions]),
            facts=torch.tensor([facts for _, _, facts in mentions]),
        )


def _ask(
    rng: Random, scene: Scene, askers: Mapping[str, Asker], shares: Mapping[str, float]
) -> Question:
    kinds, weights = list(shares), list(shares.values())
    while True:
        kind = rng.choices(kinds, weights)[0]
        if question := askers[kind](rng, scene):
            return question
