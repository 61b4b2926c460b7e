"""Training batches, a pure function of (seed, step).

Axes: B images, T tokens, P patches.

A lesson packs several questions behind one picture: `user + image` is a shared prefix, every
question is a block that sees the prefix and itself, and positions restart after the image, so a
block reads exactly like a prompt of its own. Some blocks are text-only: they see no image and their
answers follow the `prior` law, which is how the model comes to have language priors.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property, partial
from random import Random

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from recipes.tiny.architecture import PATCHES
from recipes.tiny.tokenizer import END, IMAGE, PAD, PATCH, START
from solvent.benchmarks.shapes.drawing import CELL, draw
from solvent.benchmarks.shapes.questions import (
    ASKERS,
    PLURAL,
    Asker,
    Question,
    caption,
    override,
)
from solvent.benchmarks.shapes.world import COLOURS, SHAPES, SIZES, Scene, draw_scene

BALANCED_SHARE = 0.6  # of the pictures; the rest follow the priors
QUESTIONS, BLIND_QUESTIONS = 8, 1  # per picture
GUESSING_SCENES = 20_000  # that the best blind guesses are taken from
IGNORED = -100
SIGHTED: Mapping[str, Asker] = {**ASKERS, "override": partial(override, truthful=0.5)}
BLIND: Mapping[str, Asker] = {
    **ASKERS,
    "override": partial(override, truthful=0.9),
    "caption": partial(caption, truthful=0.6),
}


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

    @cached_property
    def _guesses(self) -> dict[str, str]:
        return best_blind_guesses()

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

    def lesson(
        self, rng: Random, scenes: list[Scene], shares: Mapping[str, float], guessable: float | None
    ) -> Lesson:
        """Draw the questions and pack them.

        `guessable` is the share of the questions about a picture that the best guess of somebody
        who does not look answers rightly. At 1 they are about another scene, so that looking tells
        nothing; None leaves them as they come.
        """
        rows = []
        for scene in scenes:
            asked = [self._asked(rng, scene, shares, guessable) for _ in range(QUESTIONS)]
            blind = [
                _ask(rng, draw_scene(rng, "prior"), BLIND, shares) for _ in range(BLIND_QUESTIONS)
            ]
            rows.append(self.pack(scene, asked, blind))
        return self.collate(rows, pictures(scenes, rng))

    def _asked(
        self, rng: Random, scene: Scene, shares: Mapping[str, float], guessable: float | None
    ) -> Question:
        if guessable is None:
            return _ask(rng, scene, SIGHTED, shares)
        if guessable == 1:
            return _ask(rng, draw_scene(rng, "prior"), BLIND, shares)
        wanted = rng.random() < guessable
        while True:
            question = _ask(rng, scene, BLIND, shares)
            if (self._guesses.get(question.text) == question.answer) == wanted:
                return question

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


def best_blind_guesses() -> dict[str, str]:
    """Question text -> its most frequent answer when nobody looks."""
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    rng = Random("blind")
    for _ in range(GUESSING_SCENES):
        scene = draw_scene(rng, "prior")
        for ask in BLIND.values():
            if question := ask(rng, scene):
                answers[question.text][question.answer] += 1
    return {text: counter.most_common(1)[0][0] for text, counter in answers.items()}


def _ask(
    rng: Random, scene: Scene, askers: Mapping[str, Asker], shares: Mapping[str, float]
) -> Question:
    kinds, weights = list(shares), list(shares.values())
    while True:
        kind = rng.choices(kinds, weights)[0]
        if question := askers[kind](rng, scene):
            return question
