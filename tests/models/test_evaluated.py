"""Cells can be run with families of every kind, and the checks that say so can say no.

`python -m conformance` asks the same of all families.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from torch import Tensor

from conformance import resuming
from conformance.evaluation import CHECKS, Case, Evaluation, evaluate, loaded
from conformance.kept import apart
from conformance.observing import CheckError
from interventions.patching.layouts import Grid
from solvent.models.prefill import Prefill
from solvent.models.vlm import VLM

TOKENS = {  # of pictures of 336 x 336 and 1344 x 896 pixels, as real checkpoints have them
    "qwen3_vl": (100, 950),  # DeepStack, M-RoPE
    "qwen3_5": (100, 950),  # recurrent layers
    "glm4v": (144, 1536),  # M-RoPE; answers end where the next turn begins
    "internvl": (256, 1792),  # tiles
    "granite_docling": (64, 448),  # tiles with marks of row and column, DeepStack, scaled logits
    "llava_next": (1176, 2144),  # tiles, line ends
    "gemma3": (256, 256),  # sliding windows, pictures read in both directions
    "hunyuan_vl": (274, 1206),  # pictures numbered by a fourth axis of positions
    "paligemma": (256, 256),  # prompts read in both directions, no chat template
}


@pytest.mark.parametrize("family", TOKENS)
def test_a_family_is_evaluated(family: str) -> None:
    found = evaluate(family)
    assert found.reason is None
    assert found.tokens == TOKENS[family]


def test_what_is_in_the_way_is_said() -> None:
    assert evaluate("llama").reason == "What its tokenizer writes for a picture is not known here."


@pytest.fixture(scope="module")
def case() -> Iterator[Case]:
    with loaded("qwen2_5_vl") as found:
        yield found


def lose_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def first(vlm: VLM, prompts: Any) -> Any:
        shown = [each.images[:1] for each in prompts]
        fewer = [
            type(each)(uid=each.uid, images=images, text=each.text)
            for each, images in zip(prompts, shown, strict=True)
        ]
        return encode(vlm, fewer)

    encode = VLM.encode
    monkeypatch.setattr(VLM, "encode", first)


def shift_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(prefill: Prefill, tokens: Tensor, real: Tensor) -> Tensor:
        prefill._next = prefill._next + 1
        return extend(prefill, tokens, real)

    extend = Prefill.extend
    monkeypatch.setattr(Prefill, "extend", shifted)


def stop_early(monkeypatch: pytest.MonkeyPatch) -> None:
    generate = VLM.generate
    monkeypatch.setattr(VLM, "generate", lambda vlm, batch, limit: generate(vlm, batch, limit - 1))


def do_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    intervene = VLM.intervene
    control = evaluate.__globals__["load"]("learned")
    monkeypatch.setattr(VLM, "intervene", lambda vlm, _: intervene(vlm, control, must_edit=False))


def swap_rows_and_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = Grid.boxes.fget
    assert boxes is not None

    def swapped(grid: Grid) -> Tensor:
        return boxes(grid).reshape(grid.height, -1, 4).transpose(0, 1).reshape(-1, 4)

    monkeypatch.setattr(Grid, "boxes", property(swapped))


def mix_up_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("solvent.models.vlm.fingerprint", lambda picture: str(picture.size))


def forget_what_was_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    results = resuming.results

    def forgetful(settings: Any, output: Any, interrupted: bool) -> dict[str, bytes]:
        found = results(settings, output, interrupted)
        lines = found["predictions.jsonl"].splitlines(keepends=True)
        return {**found, "predictions.jsonl": b"".join(lines[interrupted:])}

    monkeypatch.setattr(resuming, "results", forgetful)


@pytest.mark.parametrize(
    ("check", "mutation", "message"),
    [
        ("encode", lose_a_picture, "the prompt 'two' is read as"),
        ("rank", shift_answers, "gives 'yes' after the prompt"),
        ("generate", stop_early, "by transformers' own generate"),
        ("interventions", do_nothing, "`uniform` edits nothing"),
        ("places", swap_rows_and_columns, "are found at tokens that are said to show them"),
        ("feature cache", mix_up_pictures, "with features just cached"),
        ("resume", forget_what_was_answered, "interrupted and resumed is another one"),
    ],
)
def test_a_check_notices_what_it_is_there_for(
    case: Case,
    check: str,
    mutation: Callable[[pytest.MonkeyPatch], None],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    CHECKS[check](case)
    mutation(monkeypatch)
    with pytest.raises(CheckError, match=f"(?i){message}"):
        CHECKS[check](case)


def test_a_family_that_dies_or_hangs_has_that_as_its_reason() -> None:
    def dies(family: str) -> Evaluation:
        raise SystemExit(3)

    def hangs(family: str) -> Evaluation:
        while True:
            pass

    assert apart("llava", dies, Evaluation).reason == "The process that examined it ended with 3."
    found = apart("llava", hangs, Evaluation, minutes=0.01)
    assert found.reason == "Examining it took more than 0.01 minutes."
