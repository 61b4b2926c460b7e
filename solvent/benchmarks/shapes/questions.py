"""What is asked about a scene: nine question types, each answered by one of a few words.

Every type is a function `(rng, scene) -> Question | None`; None when the scene does not admit the
question. Questions never list their options, so a model is asked for the word itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

from solvent.benchmarks.shapes.world import (
    COLOURS,
    HABITS,
    MAX_NUMBER,
    SHAPES,
    SIZES,
    Object,
    Scene,
    unique_objects,
)

YES_NO = ("yes", "no")
NUMBERS = tuple(str(number) for number in range(1, MAX_NUMBER + 1))
EXISTENCE = ("Is there {} in the image?", "Does the image contain {}?")
COLOUR = ("What colour is the {}?", "Which colour does the {} have?")
PLURAL = {shape: f"{shape}es" if shape == "cross" else f"{shape}s" for shape in SHAPES}


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question with its candidate answers."""

    kind: str
    text: str
    options: tuple[str, ...]
    answer: str
    about: tuple[Object, ...]  # what one must see to answer; none where it is not in the scene
    tags: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, str] = field(default_factory=dict)  # other wording; a caption about {answer}


Asker = Callable[[Random, Scene], Question | None]


def _article(phrase: str) -> str:
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def _other(wordings: tuple[str, str], one: str) -> str:
    return wordings[one == wordings[0]]


def _one(rng: Random, scene: Scene) -> Object | None:
    named = unique_objects(scene)
    return rng.choice(named) if named else None


def _absent(rng: Random, scene: Scene) -> tuple[str, str]:
    """Something that is not in the scene, and how it was chosen (the first three are POPE's)."""
    shapes = [shape for shape in SHAPES if shape not in {thing.shape for thing in scene}]
    companions = [HABITS[thing.shape].companion for thing in scene]
    companions = [shape for shape in companions if shape in shapes]
    how = rng.choice(("random", "popular", "adversarial", "attribute"))
    if how == "attribute":
        thing = rng.choice(scene)
        recoloured = [f"{colour} {thing.shape}" for colour in COLOURS]
        reshaped = [f"{thing.colour} {shape}" for shape in SHAPES]
        present = {thing.phrase for thing in scene}
        phrases = recoloured if rng.random() < 0.5 else reshaped
        return rng.choice([phrase for phrase in phrases if phrase not in present]), how
    if how == "popular":
        return shapes[0], how
    if how == "adversarial" and companions:
        return rng.choice(companions), how
    return rng.choice(shapes), "random"


def existence(rng: Random, scene: Scene) -> Question:
    """Is there a star, a red star? Half of the answers are yes."""
    if rng.random() < 0.5:
        thing = rng.choice(scene)
        phrase, how = (
            (thing.phrase, "attribute") if rng.random() < 0.25 else (thing.shape, "present")
        )
        answer = "yes"
    else:
        phrase, how = _absent(rng, scene)
        answer = "no"
    asked = rng.choice(EXISTENCE)
    return Question(
        kind="existence",
        text=asked.format(_article(phrase)),
        options=YES_NO,
        answer=answer,
        about=tuple(each for each in scene if phrase in (each.shape, each.phrase)),
        tags={"asked": how},
        meta={"paraphrase": _other(EXISTENCE, asked).format(_article(phrase))},
    )


def colour(rng: Random, scene: Scene) -> Question | None:
    """What colour is the star?"""
    if (thing := _one(rng, scene)) is None:
        return None
    asked = rng.choice(COLOUR)
    typical = thing.colour == HABITS[thing.shape].colour
    return Question(
        kind="colour",
        text=asked.format(thing.shape),
        options=COLOURS,
        answer=thing.colour,
        about=(thing,),
        tags={"typical": YES_NO[not typical]},
        meta={
            "paraphrase": _other(COLOUR, asked).format(thing.shape),
            "statement": f"The caption says: the {thing.shape} is {{answer}}.",
        },
    )


def count(rng: Random, scene: Scene) -> Question | None:
    """How many stars are in the image? One to four; mostly asked where there is a group."""
    shapes = [thing.shape for thing in scene]
    groups = sorted({shape for shape in shapes if shapes.count(shape) > 1}, key=SHAPES.index)
    if not groups and rng.random() < 0.7:
        return None
    shape = rng.choice(groups) if groups and rng.random() < 0.8 else rng.choice(shapes)
    return Question(
        kind="count",
        text=f"How many {PLURAL[shape]} are in the image?",
        options=NUMBERS,
        answer=str(shapes.count(shape)),
        about=tuple(thing for thing in scene if thing.shape == shape),
    )


def where(rng: Random, scene: Scene) -> Question | None:
    """Is the star in the left or the right half, in the upper or the lower half?"""
    if (thing := _one(rng, scene)) is None:
        return None
    axis = rng.choice(("horizontal", "vertical"))
    options = ("left", "right") if axis == "horizontal" else ("upper", "lower")
    far = (thing.column if axis == "horizontal" else thing.row) >= 2
    return Question(
        kind="where",
        text=f"Is the {thing.shape} in the {options[0]} or the {options[1]} half?",
        options=options,
        answer=options[far],
        about=(thing,),
        tags={"axis": axis},
    )


def relation(rng: Random, scene: Scene) -> Question | None:
    """Is the star left or right of the circle, above or below it?"""
    named = unique_objects(scene)
    if len(named) < 2:
        return None
    first, second = rng.sample(named, 2)
    gaps = {
        "horizontal": first.column - second.column,
        "vertical": first.row - second.row,
    }
    axes = [axis for axis, gap in gaps.items() if gap]
    axis = rng.choice(axes)
    options = ("left", "right") if axis == "horizontal" else ("above", "below")
    stems = {
        "horizontal": "Is the {} left or right of the {}?",
        "vertical": "Is the {} above or below the {}?",
    }
    return Question(
        kind="relation",
        text=stems[axis].format(first.shape, second.shape),
        options=options,
        answer=options[gaps[axis] > 0],
        about=(first, second),
        tags={"axis": axis},
    )


def size(rng: Random, scene: Scene) -> Question | None:
    """Is the star small or large?"""
    if (thing := _one(rng, scene)) is None:
        return None
    return Question(
        kind="size",
        text=f"Is the {thing.shape} small or large?",
        options=SIZES,
        answer=thing.size,
        about=(thing,),
    )


def comparison(rng: Random, scene: Scene) -> Question | None:
    """Which is larger, the star or the circle?"""
    named = unique_objects(scene)
    sizes = {size: [thing for thing in named if thing.size == size] for size in SIZES}
    if not all(sizes.values()):
        return None
    pair = {size: rng.choice(things) for size, things in sizes.items()}
    wanted = rng.choice(SIZES)
    options = tuple(rng.sample([thing.shape for thing in pair.values()], 2))
    word = {"small": "smaller", "large": "larger"}[wanted]
    return Question(
        kind="comparison",
        text=f"Which is {word}, the {options[0]} or the {options[1]}?",
        options=options,
        answer=pair[wanted].shape,
        about=tuple(pair.values()),
    )


def _other_colour(rng: Random, thing: Object) -> str:
    typical = HABITS[thing.shape].colour
    if typical != thing.colour and rng.random() < 0.4:
        return typical
    return rng.choice([name for name in COLOURS if name != thing.colour])


def _captioned(rng: Random, scene: Scene, truthful: float) -> tuple[Object, str, bool] | None:
    if (thing := _one(rng, scene)) is None:
        return None
    true = rng.random() < truthful
    return thing, thing.colour if true else _other_colour(rng, thing), true


def caption(rng: Random, scene: Scene, truthful: float = 0.5) -> Question | None:
    """The caption says that the star is red. Is that so?"""
    if (drawn := _captioned(rng, scene, truthful)) is None:
        return None
    thing, said, true = drawn
    return Question(
        kind="caption",
        text=f"The caption says: the {thing.shape} is {said}. Is the caption correct?",
        options=YES_NO,
        answer=YES_NO[not true],
        about=(thing,),
    )


def override(rng: Random, scene: Scene, truthful: float = 0.0) -> Question | None:
    """The caption says that the star is red, falsely. What colour is it in the image?"""
    if (drawn := _captioned(rng, scene, truthful)) is None:
        return None
    thing, said, true = drawn
    return Question(
        kind="override",
        text=(
            f"The caption says: the {thing.shape} is {said}. "
            f"What colour is the {thing.shape} in the image?"
        ),
        options=COLOURS,
        answer=thing.colour,
        about=(thing,),
        tags={"caption": "true" if true else "false"},
    )


ASKERS: dict[str, Asker] = {
    ask.__name__: ask
    for ask in (existence, colour, count, where, relation, size, comparison, caption, override)
}
KINDS = tuple(ASKERS)
