"""Every command of the pages is typed, every cell of a notebook run, every file written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from tests.documents.checkout import Checkout, checked_out
from tests.documents.pages import FENCE, NEEDS, PAGES, ROOT, blocks, quoted

pytestmark = pytest.mark.xdist_group("documents")  # one server is enough
LANGUAGES = ("", "bash", "python", "yaml")
COMMAND = re.compile(r"(python3?|solvent|make|pip|pytest|wandb|hf|accelerate|slurm/submit) \S")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    with checked_out(tmp_path_factory.mktemp("checkout")) as checkout:
        yield checkout


@pytest.fixture(scope="module")
def in_hand() -> dict[str, Any]:
    """What somebody has who opens a notebook: a model, a conversation, and inputs for it."""
    folder = ROOT / "solvent/models/checkpoints/tiny"
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(folder)
    content = [{"type": "image"}, {"type": "text", "text": "What colour is the star?"}]
    said = [("assistant", "red"), ("user", "How many circles are there?")]
    conversation = [
        {"role": "user", "content": content},
        *({"role": who, "content": [{"type": "text", "text": text}]} for who, text in said),
    ]
    text = processor.apply_chat_template(conversation, add_generation_prompt=True)
    inputs = processor(images=[Image.new("RGB", (64, 64))], text=text, return_tensors="pt")
    inputs = {**inputs, "max_new_tokens": 3}
    known = {"processor": processor, "conversation": conversation, "inputs": inputs}
    return {"model": model.eval(), **known}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_says(
    page: str, checkout: Checkout, in_hand: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = dict(in_hand)
    monkeypatch.chdir(checkout.folder)
    with checkout.restored():
        for block in blocks(page):
            if block.needs or block.language == "":
                continue
            if block.file:
                place = checkout.folder / block.file
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(block.text, encoding="utf-8")
            elif block.language == "bash":
                done = checkout.type_in(block.text)
                assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
            elif block.language == "python":
                exec(block.text, names)


def test_the_notebook_lines_of_the_readme_edit(in_hand: dict[str, Any]) -> None:
    names = dict(in_hand)
    (cell,) = [block.text for block in blocks("README.md") if block.language == "python"]
    exec(cell, names)
    assert names["log"].entries_edited > 0
    assert names["output"].shape[1] > names["inputs"]["input_ids"].shape[1]


@pytest.mark.parametrize("page", PAGES)
def test_fences_say_what_they_hold(page: str) -> None:
    assert PAGES[page].count("\n```") == 2 * len(FENCE.findall(PAGES[page])), "an open fence"
    for block in blocks(page):
        assert block.language in LANGUAGES, block
        assert set(block.needs) <= set(NEEDS), block
        assert block.language != "yaml" or block.file, "a file that nobody writes"


@pytest.mark.parametrize("page", PAGES)
def test_a_command_in_a_sentence_stands_in_a_fence_too(page: str) -> None:
    """There it is run, or said why it is not."""
    typed = [" ".join(block.text.split()) for each in PAGES for block in blocks(each)]
    for text in quoted(page):
        if COMMAND.match(text) and not re.fullmatch(r"solvent \w+|make [\w-]+", text):
            assert any(text in lines for lines in typed), text


def test_a_command_that_fails_is_noticed(checkout: Checkout) -> None:
    """Else the test above would say nothing."""
    done = checkout.type_in("python evaluate.py intervention=nothing_of_the_kind | cat\necho on")
    assert done.returncode == 2
    assert "nothing_of_the_kind" in done.stderr
    assert done.stdout == ""
