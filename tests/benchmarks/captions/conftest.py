"""A small vocabulary, and captions whose objects were counted by hand."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from solvent.benchmarks.captions.vocabulary import Mentions


@dataclass(frozen=True)
class Case:
    """One caption: what is in its picture, what it names, and how many words it has."""

    caption: str
    there: tuple[str, ...]
    named: tuple[str, ...]
    words: int


CASES = (
    Case("A man walks two dogs.", ("dog", "person"), ("person", "dog"), 5),
    Case("A man and a woman on a bench.", ("bench", "person"), ("person", "person", "bench"), 8),
    Case("A puppy chases a bird.", ("dog",), ("dog", "bird"), 5),
    Case("An empty street at night.", ("person",), (), 5),
    Case("Two wine glasses and three cups.", ("wine glass",), ("wine glass", "cup"), 6),
    Case("People are skiing downhill.", ("person", "skis"), ("person", "skis"), 4),
    Case("A baby bird near an adult bird.", ("bird",), ("bird", "bird"), 7),
    Case("The seat of the toilet is up.", ("toilet",), ("toilet",), 7),
    Case("A passenger jet over train tracks.", ("airplane",), ("airplane",), 6),
    Case("A man in a bow tie holds knives.", ("person", "tie"), ("person", "tie", "knife"), 8),
    Case("Geese and a calf.", ("cow",), ("bird", "cow"), 4),
    Case("Dogs, dogs, dogs!", ("dog",), ("dog", "dog", "dog"), 3),
    Case("Dog and dog and bird; the bird sings.", ("person",), ("dog", "dog", "bird", "bird"), 8),
    Case("", ("dog", "person"), (), 0),
    Case("The woman's puppy sleeps.", ("dog", "person"), ("person", "dog"), 4),
    Case("Baseball, bats and a baseball bat.", ("baseball bat",), ("baseball bat",), 6),
    Case("Children on stools.", ("chair", "cup", "person"), ("person", "chair"), 3),
    Case("A chair, a bench and a stool.", ("bench",), ("chair", "bench", "chair"), 7),
    Case("**A cup** of tea", ("cup",), ("cup",), 4),
    Case("Skies above a jetty.", (), (), 4),
)  # fmt: skip


@pytest.fixture(scope="session")
def objects() -> Mentions:
    """Sixteen objects."""
    return Mentions(
        objects={
            "person": ["man", "woman", "child", "baby", "adult", "passenger", "people"],
            "dog": ["puppy"],
            "bird": ["goose"],
            "bench": [],
            "cup": [],
            "chair": ["seat", "stool"],
            "toilet": [],
            "wine glass": [],
            "skis": ["ski"],
            "tie": ["bow", "bow tie"],
            "train": [],
            "airplane": ["jet"],
            "knife": [],
            "cow": ["calf"],
            "mouse": [],
            "baseball bat": [],
        },
        forms={"skiing": "ski"},
        qualifiers={"baby": ["bird"], "adult": ["bird"], "passenger": ["jet"]},
        nothing=["train track"],
        beside={"toilet": ["seat"]},
    )
