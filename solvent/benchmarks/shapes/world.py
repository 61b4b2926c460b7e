"""What can be in a picture, and how likely it is.

A scene is one to six objects on a 4 x 4 grid. Under the `balanced` law every attribute is uniform
and independent. Under the `prior` law a shape has a typical colour, number, place and size, so that
a model can guess without looking: the language priors that the modality-usage tests need.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

Law = Literal["balanced", "prior"]

GRID = 4  # places per side
COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "cyan", "pink")
SIZES = ("small", "large")


@dataclass(frozen=True, kw_only=True)
class Habit:
    """What is typical of a shape under the `prior` law; every probability in [0, 1]."""

    popularity: float  # relative frequency of the shape
    colour: str  # typical colour ...
    colour_probability: float  # ... and how often it is taken without looking further
    number: int  # typical number of such objects when they come in a group
    companion: str  # the shape that tends to stand beside it
    upper: float  # probability of the upper half
    left: float  # probability of the left half
    large: float  # probability of being large


HABITS: dict[str, Habit] = {
    name: Habit(
        popularity=popularity,
        colour=colour,
        colour_probability=colour_probability,
        number=number,
        companion=companion,
        upper=upper,
        left=left,
        large=large,
    )
    for name, popularity, colour, colour_probability, number, companion, upper, left, large in (
        ("circle", 0.22, "blue", 0.55, 3, "square", 0.50, 0.35, 0.80),
        ("square", 0.18, "orange", 0.55, 4, "circle", 0.15, 0.50, 0.85),
        ("triangle", 0.14, "green", 0.70, 2, "cross", 0.20, 0.75, 0.60),
        ("star", 0.13, "yellow", 0.90, 4, "ring", 0.85, 0.50, 0.20),
        ("heart", 0.11, "red", 0.90, 2, "diamond", 0.65, 0.20, 0.50),
        ("diamond", 0.09, "cyan", 0.70, 3, "heart", 0.50, 0.50, 0.15),
        ("cross", 0.07, "purple", 0.40, 1, "triangle", 0.50, 0.85, 0.50),
        ("ring", 0.06, "pink", 0.40, 1, "star", 0.85, 0.65, 0.40),
    )
}
SHAPES = tuple(HABITS)  # most popular first
POPULARITY = tuple(habit.popularity for habit in HABITS.values())

COMPANION_PROBABILITY = 0.4
NUMBER_PROBABILITY = 0.7
GROUP_PROBABILITY = 0.45  # a scene holds a group of equal shapes
MAX_NUMBER = 4  # objects in a group


@dataclass(frozen=True, slots=True)
class Object:
    """One coloured shape in one cell of the grid."""

    shape: str
    colour: str
    size: str
    row: int  # 0 is the top
    column: int  # 0 is the left

    @property
    def phrase(self) -> str:
        """`red star`"""
        return f"{self.colour} {self.shape}"


Scene = tuple[Object, ...]


def draw_shape(rng: Random, law: Law) -> str:
    """A shape name."""
    if law == "balanced":
        return rng.choice(SHAPES)
    return rng.choices(SHAPES, POPULARITY)[0]


def draw_colour(rng: Random, law: Law, shape: str) -> str:
    """A colour for a shape."""
    habit = HABITS[shape]
    if law == "prior" and rng.random() < habit.colour_probability:
        return habit.colour
    return rng.choice(COLOURS)


def draw_number(rng: Random, law: Law, shape: str) -> int:
    """How many objects of one shape stand in a group, 1 to 4."""
    if law == "prior" and rng.random() < NUMBER_PROBABILITY:
        return HABITS[shape].number
    return rng.randint(2, MAX_NUMBER)


def _draw_cell(rng: Random, law: Law, shape: str, used: set[tuple[int, int]]) -> tuple[int, int]:
    habit = HABITS[shape]
    upper, left = (habit.upper, habit.left) if law == "prior" else (0.5, 0.5)
    half = GRID // 2
    while True:
        row = rng.randrange(half) + (0 if rng.random() < upper else half)
        column = rng.randrange(half) + (0 if rng.random() < left else half)
        if (row, column) not in used:
            return row, column


def place(rng: Random, law: Law, kinds: list[tuple[str, str]]) -> Scene:
    """Give every (shape, colour) a size and a cell of its own."""
    used: set[tuple[int, int]] = set()
    objects = []
    for shape, colour in kinds:
        large = HABITS[shape].large if law == "prior" else 0.5
        size = "large" if rng.random() < large else "small"
        row, column = _draw_cell(rng, law, shape, used)
        used.add((row, column))
        objects.append(Object(shape, colour, size, row, column))
    return tuple(objects)


def draw_scene(rng: Random, law: Law) -> Scene:
    """One to six objects; about every other scene holds a group of equal shapes."""
    kinds: list[tuple[str, str]] = []
    shapes: list[str] = []
    if rng.random() < GROUP_PROBABILITY:
        shape = draw_shape(rng, law)
        shapes += [shape] * draw_number(rng, law, shape)
    others = rng.choices((1, 2, 3, 4), (0.15, 0.4, 0.3, 0.15))[0]
    target = min(6, len(shapes) + others)
    while len(shapes) < target:
        companion = shapes and law == "prior" and rng.random() < COMPANION_PROBABILITY
        shape = HABITS[shapes[-1]].companion if companion else draw_shape(rng, law)
        if shape not in shapes:
            shapes.append(shape)
    kinds = [(shape, draw_colour(rng, law, shape)) for shape in shapes]
    return place(rng, law, kinds)


def unique_objects(scene: Scene) -> list[Object]:
    """Objects whose shape occurs once, so that `the star` names one of them."""
    shapes = [thing.shape for thing in scene]
    return [thing for thing in scene if shapes.count(thing.shape) == 1]
