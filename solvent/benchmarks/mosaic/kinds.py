"""What is asked about a mosaic, and what must stand in it for each answer.

A kind of question is a function `(world, key, turn) -> Question`: the same for equal arguments, all
words decided, the answer still open. Every question has all of its answers in turn (or, under the
prior law, as often as the prior makes them), each in a mosaic of its own, so that the question
alone says nothing about the answer, and pictures for another answer to it are there.

The prior law calls one answer to every question the likely one:

    what is at a place      at every other place the class with most photos; at every other of the
                            rest the next one, and so on
    how many of a class     1 of every other class, in the order of their numbers of photos; 2 of
                            every other of the rest, and so on
    is there one of a class yes for the half of the classes with more photos
    left or right, above or below; which of two
                            the class with more photos is left, above, there
    a caption               true where it names the likely class of a place
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from solvent.benchmarks.mosaic.collage import Grid
from solvent.benchmarks.mosaic.nouns import Noun

YES_NO = ("yes", "no")
AXES = {"horizontal": ("left", "right"), "vertical": ("above", "below")}


@dataclass(frozen=True, kw_only=True)
class World:
    """What can stand in a mosaic. Classes and cells are numbers."""

    nouns: Sequence[Noun]  # of classes
    ranks: Sequence[int]  # of classes: 0 for the one with most photos
    grid: Grid
    most: int  # photos of one class that are asked for

    @property
    def names(self) -> tuple[str, ...]:
        """Of classes, as answers."""
        return tuple(noun.name for noun in self.nouns)

    def likely(self, cell: int) -> int:
        """The likely class at a place."""
        return self.ranks.index(min(ruler(cell), len(self.ranks) - 1))


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a mosaic must show for one answer, and what the question is about in it."""

    put: Mapping[int, int] = field(default_factory=dict)  # cell -> class
    barred: frozenset[int] = frozenset()  # classes that stand nowhere else
    cells: tuple[int, ...] = ()  # that the question is about ...
    classes: tuple[int, ...] = ()  # ... with all cells of these classes


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question, and the mosaics that give its answers."""

    text: str
    paraphrase: str
    options: tuple[str, ...]
    likely: int  # index of the answer that the prior law prefers
    wish: Callable[[Random, int], Wish]  # by the index of the answer
    statement: str | None = None  # asserts {answer}
    tags: Mapping[str, str] = field(default_factory=dict)


def ruler(place: int) -> int:
    """0, 1, 0, 2, 0, 1, 0, 3, ...: how often the number of a place, from 1, can be halved."""
    return (((place + 1) & -(place + 1)).bit_length()) - 1


def in_turn(key: str, turn: int, count: int) -> int:
    """A number below `count`: all of them once, in some order, before any comes again."""
    passed, at = divmod(turn, count)
    order = list(range(count))
    Random(f"{key}/{passed}/order").shuffle(order)
    return order[at]


def place(world: World, key: str, turn: int) -> Question:
    """What does the top left photo show?"""
    cell = in_turn(key, turn, len(world.grid.places))
    where = world.grid.places[cell]
    return Question(
        text=f"What does the {where} photo show?",
        paraphrase=f"What can be seen in the {where} photo?",
        options=world.names,
        likely=world.likely(cell),
        wish=lambda rng, answer: Wish(put={cell: answer}, cells=(cell,)),
        statement=f"The caption says: the {where} photo is labelled {{answer}}.",
        tags={"place": where},
    )


def count(world: World, key: str, turn: int) -> Question:
    """How many photos of cats are there?"""
    asked = in_turn(key, turn, len(world.nouns))
    noun, cells = world.nouns[asked], range(len(world.grid.places))
    return Question(
        text=f"How many photos of {noun.plural} are there?",
        paraphrase=f"How many of the photos show {noun.single}?",
        options=tuple(str(number) for number in range(world.most + 1)),
        likely=min(1 + ruler(world.ranks[asked]), world.most),
        wish=lambda rng, answer: Wish(
            put=dict.fromkeys(rng.sample(cells, answer), asked),
            barred=frozenset({asked}),
            classes=(asked,),
        ),
        statement=f"The caption says: the number of photos of {noun.plural} is {{answer}}.",
    )


def relation(world: World, key: str, turn: int) -> Question:
    """Is the photo of a cat left or right of the photo of a dog, above or below it?"""
    one, other, rng = _two(world, key, turn)
    first, second = world.nouns[one].single, world.nouns[other].single
    axis = rng.choice(tuple(AXES))
    of = " of" if axis == "horizontal" else ""
    options = AXES[axis]

    at = [divmod(cell, world.grid.columns)[bool(of)] for cell in range(len(world.grid.places))]
    pairs = [(a, b) for a, here in enumerate(at) for b, there in enumerate(at) if here < there]

    def wish(rng: Random, answer: int) -> Wish:
        near, far = rng.choice(pairs)
        put = {near: one, far: other} if answer == 0 else {near: other, far: one}
        return Wish(put=put, barred=frozenset({one, other}), classes=(one, other))

    return Question(
        text=f"Is the photo of {first} {options[0]} or {options[1]}{of} the photo of {second}?",
        paraphrase=f"Where is the photo of {first}, {options[0]} or {options[1]}{of} "
        f"the photo of {second}?",
        options=options,
        likely=int(world.ranks[one] > world.ranks[other]),
        wish=wish,
        statement=f"The caption says: the photo of {first} is {{answer}}{of} that of {second}.",
        tags={"axis": axis},
    )


def existence(world: World, key: str, turn: int) -> Question:
    """Is there a photo of a cat?"""
    asked = in_turn(key, turn, len(world.nouns))
    single, cells = world.nouns[asked].single, range(len(world.grid.places))

    def wish(rng: Random, answer: int) -> Wish:
        if YES_NO[answer] == "no":
            return Wish(barred=frozenset({asked}))
        return Wish(put={rng.choice(cells): asked}, classes=(asked,))

    return Question(
        text=f"Is there a photo of {single}?",
        paraphrase=f"Does one of the photos show {single}?",
        options=YES_NO,
        likely=int(world.ranks[asked] >= (len(world.ranks) + 1) // 2),
        wish=wish,
    )


def either(world: World, key: str, turn: int) -> Question:
    """Do the photos show a cat or a dog?"""
    pair = one, other = _two(world, key, turn)[:2]
    first, second = world.nouns[one].single, world.nouns[other].single

    def wish(rng: Random, answer: int) -> Wish:
        there, absent = pair[answer], pair[1 - answer]
        cell = rng.randrange(len(world.grid.places))
        return Wish(put={cell: there}, barred=frozenset({absent}), classes=(there,))

    return Question(
        text=f"Do the photos show {first} or {second}?",
        paraphrase=f"Which is in one of the photos, {first} or {second}?",
        options=(world.nouns[one].name, world.nouns[other].name),
        likely=int(world.ranks[one] > world.ranks[other]),
        wish=wish,
        statement="The caption says: one of the photos is labelled {answer}.",
    )


def caption(world: World, key: str, turn: int) -> Question:
    """The caption says that the top left photo shows a cat. Is that so?"""
    cell = in_turn(key, turn, len(world.grid.places))
    said = Random(f"{key}/{turn}").randrange(len(world.nouns))
    where, claim = world.grid.places[cell], world.nouns[said].single
    others = [each for each in range(len(world.nouns)) if each != said]
    return Question(
        text=f"The caption says: the {where} photo shows {claim}. Is the caption correct?",
        paraphrase=f"Is it correct to say that the {where} photo shows {claim}?",
        options=YES_NO,
        likely=int(said != world.likely(cell)),
        wish=lambda rng, answer: Wish(
            put={cell: said if YES_NO[answer] == "yes" else rng.choice(others)}, cells=(cell,)
        ),
        tags={"place": where},
    )


def _two(world: World, key: str, turn: int) -> tuple[int, int, Random]:
    """Two classes, the first in turn, and what draws the rest."""
    rng = Random(f"{key}/{turn}")
    one = in_turn(key, turn, len(world.nouns))
    other = rng.choice([each for each in range(len(world.nouns)) if each != one])
    return one, other, rng


ASKERS: dict[str, Callable[[World, str, int], Question]] = {
    ask.__name__: ask for ask in (place, count, relation, existence, either, caption)
}
KINDS = tuple(ASKERS)
BARRED = {"count": 1, "relation": 2, "existence": 1, "either": 1}  # classes that fill no other cell


def answers(world: World, kind: str) -> int:
    """How many options questions of a kind have."""
    return {"place": len(world.nouns), "count": world.most + 1}.get(kind, 2)
