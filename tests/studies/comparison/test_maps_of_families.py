"""Attention is placed in the pictures of families that show them in one piece, in tiles, padded to
one size, or to some layers only; families whose tokens have no place are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from conformance.evaluation import PROMPTS, loaded
from interventions import Intervention, InterventionError, load
from solvent.cells.revisited import attention_maps
from solvent.core.types import Prompt
from solvent.models.vlm import VLM

TWO = next(prompt for prompt in PROMPTS if len(prompt.images) == 2)  # a tall and a wide one


@dataclass(frozen=True)
class Cell:
    """In the place of a `StoredCell`."""

    vlm: VLM
    name: str
    benchmark: None = None

    def model(self) -> VLM:
        return self.vlm

    def intervention(self) -> Intervention:
        return load(self.name)

    def samples(self, uids: Sequence[str]) -> dict[str, object]:
        return {uid: SimpleNamespace(uid=uid) for uid in uids}

    def altered(self, model: VLM) -> AbstractContextManager[None]:
        return nullcontext()


@pytest.fixture(autouse=True)
def worded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Samples are prompts already."""
    known = {prompt.uid: prompt for prompt in PROMPTS}

    def prompts(benchmark: None, samples: Sequence[SimpleNamespace]) -> tuple[list[Prompt], dict]:
        return [known[sample.uid] for sample in samples], {}

    monkeypatch.setattr(attention_maps, "prompts", prompts)
    return


@pytest.mark.filterwarnings("ignore:Decoder layers")
@pytest.mark.parametrize(
    ("family", "layers", "cropped"),
    [("mistral3", (0, 1, 2, 3), False), ("idefics3", (0, 1, 2, 3), False),
     ("llava", (0, 1, 2, 3), True), ("qwen3_5", (1, 3), False)],
)  # fmt: skip
def test_attention_lies_in_its_own_picture(
    family: str, layers: tuple[int, ...], cropped: bool
) -> None:
    with loaded(family) as case:
        pair = (Cell(case.vlm, "learned"), Cell(case.vlm, "uniform"))
        found = attention_maps.attention_maps(*pair, [TWO.uid, "none"], 64)
    assert found["none"].control is None is found["none"].arm
    seen = found[TWO.uid]
    assert seen.layers == layers
    sizes = [(64, 64), (64, 64)] if cropped else [(32, 64), (64, 32)]
    for each in (seen.control, seen.arm):
        assert [picture.size for picture in each.pictures] == sizes
        assert [part.shape[::-1] for part in each.density] == sizes
        means = [float(part.mean()) for part in each.density]
        assert sum(means) == pytest.approx(each.mass, abs=1e-6)
        assert 0.05 < each.mass <= 1
    even = np.concatenate([part.ravel() for part in seen.arm.density])
    if family != "idefics3":  # whose tiles and whole are two tokens for a place
        ratio = len(seen.arm.density[0].ravel()) / len(even)
        shares = [float(part.mean()) / seen.arm.mass for part in seen.arm.density]
        assert shares == pytest.approx([ratio, 1 - ratio], abs=1e-4)
        assert all(float(np.ptp(part)) < 1e-5 for part in seen.arm.density)
    assert all(float(np.ptp(part)) > 1e-4 for part in seen.control.density)


def test_tokens_without_a_place_have_no_map() -> None:
    with loaded("idefics2") as case:
        pair = (Cell(case.vlm, "learned"), Cell(case.vlm, "learned"))
        with pytest.raises(InterventionError, match="learned queries gather every token"):
            attention_maps.attention_maps(*pair, [TWO.uid], 64)
