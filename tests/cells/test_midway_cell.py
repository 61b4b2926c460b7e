"""A cell whose pictures change midway, with scripted models that go by the picture or by words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from solvent.cells.answering import Cell
from solvent.cells.batches import run
from solvent.core.types import Response, Sample
from solvent.diagnostics.conditions import BlockSwap, SwapMidway
from tests.cells.test_batches import Picture, ScriptedBenchmark, ScriptedModel, cell, opened
from tests.diagnostics import pixels

COLOURS = {(255, 0, 0): "red", (0, 0, 255): "blue"}
DONORS = BlockSwap(name="swap", stratum=None, seed=0, shift=1, block=4)
MIDWAY = SwapMidway(name="swap_midway", donors=DONORS)


@dataclass
class Speaking(ScriptedModel):
    """Says what it sees in one sentence and draws a conclusion in a second one."""

    believes: str = "picture"  # or words: what it said itself
    goes_on: bool = True

    def begin(self, batch: Any, max_new_tokens: int) -> list[list[str]]:
        self.pending += batch.uids
        return [f"I see {self.seen(prompt)}.".split() for prompt in batch.prompts]

    def respond(self, batch: Any, max_new_tokens: int, begun: Any = None) -> list[Response]:
        self.pending += batch.uids
        self.batches.append(tuple(batch.uids))
        given = begun or [f"I see {self.seen(prompt)}.".split() for prompt in batch.prompts]
        rows = []
        for prompt, words in zip(batch.prompts, given, strict=True):
            colour = self.seen(prompt) if self.believes == "picture" else words[-1].rstrip(".")
            answer = " ".join(words) + ((self.goes_on and f" So it is {colour}") or "")
            said = None if begun is None else " ".join(words)
            rows.append(
                Response(answer=answer, thought=None, thought_tokens=None, cut=False, begun=said)
            )
        return rows

    def seen(self, prompt: Any) -> str:
        return COLOURS[prompt.images[0].getpixel((0, 0))]


@dataclass(frozen=True)
class Spoken(ScriptedBenchmark):
    ranks: bool = False

    def mode(self, sample: Sample) -> str:
        return "rank" if self.ranks else "generate"

    def parse(self, raw: str, sample: Sample) -> Any:
        said = sample.options.index(raw.split()[-1].rstrip("."))
        return SimpleNamespace(value=said, status="ok", guessed=False)


def coloured(name: str, colour: tuple[int, int, int]) -> pixels.Picture:
    return pixels.picture(name, np.full((8, 8, 3), colour))


def questions() -> tuple[Sample, ...]:
    """Four pictures, red and blue in turns, of one block: some get the other colour."""
    return tuple(
        Sample(
            uid=f"{index:03d}",
            images=(coloured(f"picture-{index}", tuple(COLOURS)[index % 2]),),
            text="Which colour?",
            options=("red", "blue"),
            gold=index % 2,
        )
        for index in range(4)
    )


def asked(model: Speaking, shown: Any, rows: Any, ranks: bool = False) -> Cell:
    one = cell(model, rows)
    return replace(one, benchmark=Spoken(rows, ranks=ranks), samples=shown, condition="swap_midway")


@pytest.mark.parametrize("believes", ["picture", "words"])
def test_what_follows_goes_by_the_picture_or_by_the_words(tmp_path: Path, believes: str) -> None:
    rows = questions()
    views = MIDWAY.views(rows)
    model = Speaking(believes=believes)
    metrics = run(asked(model, views, rows), folder := opened(tmp_path))
    by_uid = {view.uid: view for view in views}
    place = {row.uid: row for row in rows}
    follows = []
    for row in folder.predictions():
        own = rows[0].options[place[row.uid].gold]
        donor = rows[0].options[place[by_uid[row.uid].shown["donor"]].gold]
        assert row.shown == {**by_uid[row.uid].shown, "begun": f"I see {own}."}
        assert row.raw == f"I see {own}. So it is {donor if believes == 'picture' else own}"
        assert row.visual_mass.before == (float(row.uid), 0.5)  # of one pass
        assert row.tags["went_on"] == "yes"
        follows.append(own == donor)
    expected = sum(follows) / 4 if believes == "picture" else 1.0
    assert metrics["score"]["value"] == expected
    assert not all(follows)


def test_answers_that_end_with_their_first_sentence_are_told_apart(tmp_path: Path) -> None:
    rows = questions()
    model = Speaking(goes_on=False)
    run(asked(model, MIDWAY.views(rows), rows), folder := opened(tmp_path))
    assert {row.tags["went_on"] for row in folder.predictions()} == {"no"}


def test_a_later_picture_that_cannot_be_read_is_an_error_of_its_sample(tmp_path: Path) -> None:
    rows = questions()
    views = MIDWAY.views(rows)
    views[1] = replace(views[1], later=(Picture("gone", broken=True),))
    run(asked(Speaking(), views, rows), folder := opened(tmp_path))
    found = folder.predictions()
    assert [row.status for row in found] == ["ok", "error", "ok", "ok"]
    assert found[1].error == "gone cannot be read"


def test_ranked_options_have_no_middle(tmp_path: Path) -> None:
    rows = questions()
    with pytest.raises(ValueError, match=r"4 samples, first 000, are ranked: set benchmark\.ans"):
        run(asked(Speaking(), MIDWAY.views(rows), rows, ranks=True), opened(tmp_path))
