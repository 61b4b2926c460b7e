"""VLind-Bench's contexts, each of which is asked about in four stages.

Lee et al. (2024), https://arxiv.org/abs/2406.08702; the layout and what is asked are those of
https://github.com/klee972/VLind-Bench at 9083efe.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from solvent.benchmarks.sample import Row, value_of
from solvent.benchmarks.source import LocalFiles

Statements = Sequence[tuple[str, str]]  # each with "true" or "false"


@dataclass(frozen=True, kw_only=True)
class Staged(LocalFiles):
    """`LocalFiles` whose rows are contexts: a world unlike ours, and pictures of it.

    Of every context become rows, two statements each, one true and one false:

    - stage "knowledge": our world's picture, to be judged by common sense, in which the statement
      that is true of the other world is false;
    - "perception": the best picture of the other world: is an object in it?
    - "bias": the same picture, and the context in words, by which to judge;
    - "prior": every good picture of it, by which to judge.

    A row has the columns stage, picture (its path), number (of the picture), statement, truth,
    basis (what to judge by), told (the context in words, or None), and concept and context_id.

    Attributes:
        votes: a picture is good that as many people or more found so; a context without any good
            picture is left out.
    """

    votes: int

    def rows(self) -> list[Row]:
        """Two rows per stage and picture. Raises `ValueError` where a context lacks a column."""
        return [row for context in super().rows() for row in self._staged(context)]

    def _staged(self, context: Row) -> Iterator[Row]:
        def column(name: str) -> Any:
            return value_of({"from": name}, context)

        votes = column("aggregated_human_label_good_images")
        good = sorted((number for number, n in votes.items() if n >= self.votes), key=int)
        if not good:
            return
        place = f"{column('concept')}/{column('context_id')}_"
        other = f"counterfactual/{place}{column('context')}"
        ours = f"factual/{place}{column('factual_context')}"
        best = column("best_img_id")
        said = column("true_statement"), column("false_statement")
        there = (f"There is {column(f'{each}_noun')} in the given image." for each in NOUNS)
        world, usual, objects = _marked(*said), _marked(*said[::-1]), _marked(*there)
        for stage, folder, numbers, statements, basis, told in (
            ("knowledge", ours, ["0"], usual, "common sense", None),
            ("perception", other, [best], objects, "the image", None),
            ("bias", other, [best], world, "the context", column("context")),
            ("prior", other, good, world, "the image", None),
        ):
            for number in numbers:
                for statement, truth in statements:
                    yield {
                        "stage": stage,
                        "picture": f"{folder}/{number}.jpg",
                        "number": str(number),
                        "statement": statement,
                        "truth": truth,
                        "basis": basis,
                        "told": told,
                        "concept": column("concept"),
                        "context_id": column("context_id"),
                    }


def _marked(true: str, false: str) -> Statements:
    return (true, "true"), (false, "false")


NOUNS = ("existent", "non-existent")
