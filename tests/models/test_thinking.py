"""Thoughts: closed before the answer, or thought to an end, counted and kept apart from it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from solvent.core.types import Prompt
from solvent.models.refusals import ModelError
from solvent.models.speaking import Speaker, Thinking
from solvent.models.vlm import VLM, load
from tests.models.plain_answers import PLACEHOLDERS, PROMPTS, Reference
from tests.models.test_vlm import picture
from tests.random_models import save_random_checkpoint

FAMILY = "qwen2_5_vl"
BEGIN, END, STOP, TEXT = 1, 2, 3, 7
MERGED = [[11, 12], [11, 13]]  # an end in two tokens, the second perhaps with a line end in it
PROMPT = Prompt(uid="one", images=(picture(FAMILY, 0),), text="Is there a red square?")


def spoken(tokens: list[int], **changes: Any) -> Speaker:
    settings: dict[str, Any] = {
        "budget": 3,
        "opened": True,
        "begin": (BEGIN,),
        "end": (END,),
        "ends": lambda tokens: tokens in ([END], *MERGED),
        "cut": (8, END),
    }
    speaker = Speaker(limit=2, stops=(STOP,), thinking=Thinking(**{**settings, **changes}))
    for token in tokens:
        speaker.says(token)
    return speaker


@pytest.mark.parametrize(
    ("tokens", "changes", "thought", "answer", "over"),
    [
        ([TEXT, END, 5, STOP], {}, [TEXT], [5], True),
        ([TEXT, END, 5, 6], {}, [TEXT], [5, 6], True),  # the limit of the answer
        ([TEXT, STOP], {}, [TEXT], [], True),  # over within the thought
        ([TEXT] * 3 + [9, 9, 5], {}, [TEXT] * 3, [5], False),  # cut: what it would say is not read
        ([END, 5], {}, [], [5], False),
        ([TEXT, 11, 12, 5], {"end": (11, 12)}, [TEXT], [5], False),
        ([TEXT, 11, 13, 5], {"end": (11, 12)}, [TEXT], [5], False),
        ([5, 6], {"opened": False}, [], [5, 6], True),  # does not think after all
        ([BEGIN, TEXT, END, 5], {"opened": False}, [BEGIN, TEXT], [5], False),
    ],
)
def test_a_thought_ends_where_it_says_so_or_its_budget_does(
    tokens: list[int], changes: dict[str, Any], thought: list[int], answer: list[int], over: bool
) -> None:
    speaker = spoken(tokens, **changes)
    assert (speaker.thought, speaker.answer, speaker.over) == (thought, answer, over)
    assert speaker.cut == (len(answer) == 2)  # the limit: what ends before it is not cut


def test_what_ends_a_thought_is_read() -> None:
    speaker = spoken([TEXT] * 3)
    assert [speaker.says(9), speaker.says(9), speaker.says(5)] == [8, END, 5]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A template that opens a thought."""
    folder = save_random_checkpoint(FAMILY, tmp_path_factory.mktemp("thinking") / "model")
    file = folder / "chat_template.jinja"
    opening = "<|im_start|>assistant\n"
    text = file.read_text(encoding="utf-8")
    assert text.count(opening) == 1
    text = text.replace(opening, opening + "<think>\n")
    file.write_text(text + "{# a thought ends with </think> #}", encoding="utf-8")
    return folder


def test_without_thinking_the_thought_is_closed_empty(
    folder: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    vlm = load(**{**settings, "checkpoint": str(folder)})
    batch = vlm.encode([PROMPT])
    assert batch.texts[0].endswith("assistant\n<think>\n\n</think>\n\n")
    monkeypatch.setitem(PROMPTS, FAMILY, PROMPTS[FAMILY] + "<think>\n\n</think>\n\n")
    expected = Reference(FAMILY, folder).score(shown(), list(PROMPT.images), "red")[0]
    ((score,),) = vlm.rank(batch, [["red"]])
    assert score.log_probability == pytest.approx(expected, abs=1e-5)
    (response,) = vlm.respond(batch, 3)
    assert (response.thought, response.thought_tokens) == (None, None)


def test_a_thought_that_the_user_writes_is_not_closed(
    checkpoints: dict[str, Path], settings: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copytree(checkpoints[FAMILY], tmp_path / "model")
    file = tmp_path / "model" / "chat_template.jinja"
    text = file.read_text(encoding="utf-8")
    file.write_text(text + "{# knows <think> and </think> #}", encoding="utf-8")
    vlm = load(**{**settings, "checkpoint": str(tmp_path / "model")})
    (text,) = vlm.encode([replace(PROMPT, text="What does <think> mean?")]).texts
    assert text.endswith("mean?<|im_end|>\n<|im_start|>assistant\n")


def test_a_thought_is_separated_and_counted(
    folder: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    vlm: VLM = load(**{**settings, "checkpoint": str(folder), "thinking": 5})
    other = Prompt(uid="two", images=(), text="How many?")
    batch = vlm.encode([PROMPT, other])
    assert batch.texts[0].endswith("assistant\n<think>\n")
    (response, _) = vlm.respond(batch, 3)
    opened = PROMPTS[FAMILY] + "<think>\n"
    monkeypatch.setitem(PROMPTS, FAMILY, opened)
    plain = Reference(FAMILY, folder)
    decode = vlm.processor.tokenizer.decode
    thought = plain.greedy(shown(), list(PROMPT.images), 5)
    assert response.thought_tokens == len(thought) == 5
    assert response.thought == decode(thought, skip_special_tokens=True).strip()
    opens = replace(vlm.chat.how_it_thinks, opened=False)  # and what opens it is no part of it
    assert opens.ends([TEXT, *opens.end])
    assert not opens.ends(opens.end[:-1])
    itself = Speaker(limit=3, stops=(), thinking=opens, thought=[*opens.begin, *thought])
    assert vlm.chat.response(itself) == replace(response, answer="", cut=False)
    ids = plain.ids(opened.format(shown()), list(PROMPT.images))
    ids += [*thought, *vlm.processor.tokenizer("\n</think>\n\n")["input_ids"]]
    answer: list[int] = []
    for _ in range(3):
        token = plain.logits(ids + answer, list(PROMPT.images))[-1].argmax().item()
        if token == plain.terminator:
            break
        answer.append(token)
    assert response.answer == decode(answer, skip_special_tokens=True).strip()


def test_candidates_are_not_ranked_within_a_thought(folder: Path, settings: dict[str, Any]) -> None:
    vlm = load(**{**settings, "checkpoint": str(folder), "thinking": 5})
    with pytest.raises(ModelError, match=r"model\.thinking=0 to rank candidates, but it is 5"):
        vlm.rank(vlm.encode([PROMPT]), [["red"]])


def test_a_template_that_knows_no_thoughts_cannot_think(
    checkpoints: dict[str, Path], settings: dict[str, Any]
) -> None:
    with pytest.raises(ModelError, match="whose chat template knows thoughts, but 5 came"):
        load(**{**settings, "checkpoint": str(checkpoints["llava"]), "thinking": 5})


@pytest.mark.parametrize("wrong", [True, 2.5, -1])
def test_what_a_thought_may_take_is_a_number_of_tokens(
    folder: Path, settings: dict[str, Any], wrong: Any
) -> None:
    with pytest.raises(ModelError, match=f"or the tokens that a thought may take.*{wrong} came"):
        load(**{**settings, "checkpoint": str(folder), "thinking": wrong})


def test_a_thought_that_could_be_text_is_refused(
    folder: Path, settings: dict[str, Any], tmp_path: Path
) -> None:
    """The tokenizer has no token for `<think>`, and the template leaves it to the model."""
    shutil.copytree(folder, tmp_path / "model")
    file = tmp_path / "model" / "chat_template.jinja"
    text = file.read_text(encoding="utf-8").replace("<think>\n", "")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match="could not be told from a thought"):
        load(**{**settings, "checkpoint": str(tmp_path / "model"), "thinking": 5})


def shown() -> str:
    return PLACEHOLDERS[FAMILY] + PROMPT.text
