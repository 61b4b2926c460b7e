"""The command that says in which families interventions are correct, and that it can say no."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
import transformers
from packaging.version import Version
from torch import Tensor, nn

from conformance import checks
from conformance.builders import build, families
from conformance.checks import CHECKS, Subject
from conformance.examination import examine
from conformance.observing import CheckError
from conformance.verdicts import FILE, PAGE, page, written
from interventions import Intervention, InterventionError, intervene, load
from interventions.engine.view import Rows
from interventions.patching import patch as patch_module
from interventions.patching import session as session_module
from interventions.patching.decoders import SESSION, Decoder
from solvent.commands.families import show_families

FAST = (
    "llava",
    "llava_onevision",
    "qwen2_5_vl",
    "qwen3_vl",
    "qwen3_5",
    "internvl",
    "idefics3",
    "paligemma",
    "gemma3",
    "mistral3",
    "cohere2_vision",
    "kimi_k25",
)


@pytest.mark.parametrize("family", FAST)
def test_a_family_is_certified(family: str) -> None:
    assert examine(family).reason is None


@pytest.mark.parametrize(
    ("family", "reason"),
    [
        ("mllama", "cross-attention to the image is not supported"),
        ("udop", "is an encoder-decoder"),
        ("git", "before the token embeddings"),
    ],
)
def test_a_family_is_refused_with_its_reason(family: str, reason: str) -> None:
    assert reason in (examine(family).reason or "")


def listed() -> dict[str, bool]:
    """Families of docs/families.md, and whether they are certified there."""
    certified, _, refused = PAGE.read_text(encoding="utf-8").partition("## Not possible")
    row = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
    return dict.fromkeys(row.findall(certified), True) | dict.fromkeys(row.findall(refused), False)


def test_every_family_is_accounted_for() -> None:
    rerun = "run `python -m conformance` and commit docs/families.md"
    known = listed()
    unlisted, gone = set(families()) - set(known), set(known) - set(families())
    assert not unlisted, f"transformers {transformers.__version__} added {unlisted}: {rerun}"
    head = re.search(
        r"\*\*(\d+) of (\d+) families certified\*\* with transformers ([\d.]+),",
        PAGE.read_text("utf-8"),
    )
    assert head is not None
    *counts, made_with = head.groups()
    if Version(transformers.__version__) >= Version(made_with):  # older ones know fewer
        assert not gone, f"transformers {transformers.__version__} dropped {gone}: {rerun}"
    assert [int(number) for number in counts] == [sum(known.values()), len(known)]
    assert all(known[family] for family in FAST)


def test_the_page_and_the_file_of_the_command_agree() -> None:
    text = FILE.read_text(encoding="utf-8")
    known = json.loads(text)
    assert page(known) == PAGE.read_text(encoding="utf-8")
    assert written(known) == text


def test_the_command_marks_what_can_be_evaluated(capsys: pytest.CaptureFixture[str]) -> None:
    show_families("")
    rows = re.findall(
        r"^ +([\w.-]+) +(yes|no) +(yes|no)", capsys.readouterr().out, flags=re.MULTILINE
    )
    assert {family: certified == "yes" for family, certified, _ in rows} == listed()
    families = json.loads(FILE.read_text(encoding="utf-8"))["families"]
    evaluated = {each["family"] for each in families if each["evaluated"]}
    assert {family for family, _, said in rows if said == "yes"} == evaluated
    assert len(evaluated) >= 56
    assert all(each["evaluated"] or each["reason"] or each["unevaluated"] for each in families)
    with pytest.raises(
        ValueError, match="no family has 'qwem3_vl' in its name; did you mean 'qwen3_vl'"
    ):
        show_families("qwem3_vl")


@pytest.fixture(scope="module")
def subject() -> Subject:
    model = build("llava")
    model.set_attn_implementation("eager")
    return Subject("llava", model)


def forget_a_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    find = session_module.find_decoder

    def forgetful(model: nn.Module) -> Decoder:
        decoder = find(model)
        kept = {layer: module for layer, module in decoder.attention.items() if layer != 2}
        return replace(decoder, attention=kept)

    monkeypatch.setattr(session_module, "find_decoder", forgetful)


def hook_the_tower(monkeypatch: pytest.MonkeyPatch) -> None:
    enter = session_module.Session.enter

    def greedy(session: session_module.Session) -> None:
        enter(session)
        tower = session.model.get_encoder(modality="image")
        for module in tower.modules():
            if "Attention" in type(module).__name__:
                setattr(module, SESSION, session)
                session.numbers[id(module)] = 0
                session._restore.append(lambda module=module: delattr(module, SESSION))
        tower.config._attn_implementation_internal = session_module.BACKENDS["eager"]

    def attend(session: Any, call: Any, output: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        inside = call.query.shape[2] == session.forward.sequences.ids.shape[1]
        return edit(session, call, output, weights) if inside else (1.1 * output, weights)

    edit = session_module.Session.attend
    monkeypatch.setattr(session_module.Session, "enter", greedy)
    monkeypatch.setattr(session_module.Session, "attend", attend)


def mistake_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    right = checks.image_token
    monkeypatch.setattr(checks, "image_token", lambda model: right(model) + 1)


def disturb_the_control(monkeypatch: pytest.MonkeyPatch) -> None:
    attend = session_module.Session.attend

    def inexact(
        session: Any, call: Any, output: Tensor, weights: Tensor, hidden: Any
    ) -> tuple[Tensor, Tensor]:
        output, weights = attend(session, call, output, weights, hidden)
        return output * (1 + 1e-6), weights

    monkeypatch.setattr(session_module.Session, "attend", inexact)


def drop_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    other = {"uniform": "knockout"}
    monkeypatch.setattr(
        checks, "load", lambda name, **changes: load(other.get(name, name), **changes)
    )


def drop_causality(monkeypatch: pytest.MonkeyPatch) -> None:
    def everything(module: nn.Module, backend: str, shape: tuple[int, ...], *_: Any) -> Tensor:
        return torch.ones(shape, dtype=torch.bool)

    monkeypatch.setattr(patch_module, "allowed_keys", everything)


def forget_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = session_module.resolve_rows

    def resolve_prompt(sequences: Any, count: int, *rest: Any) -> Rows:
        rows = resolve(sequences, count, *rest)
        nothing = torch.zeros_like(rows.edited)
        return replace(rows, edited=nothing, edits=False) if count == 1 else rows

    monkeypatch.setattr(session_module, "resolve_rows", resolve_prompt)


def leave_something(monkeypatch: pytest.MonkeyPatch) -> None:
    leave = session_module.Session.leave

    def untidy(session: session_module.Session) -> None:
        leave(session)
        session.model.forgotten = True

    monkeypatch.setattr(session_module.Session, "leave", untidy)


@pytest.mark.parametrize(
    ("check", "mutation", "message"),
    [
        ("reach", forget_a_layer, r"misses the attention of \['model.language_model.layers.2"),
        ("reach", hook_the_tower, r"wrongly edits \['model.vision_tower|a CLIPAttention has 2"),
        ("tokens", mistake_the_token, "change with the pixels"),
        ("learned", disturb_the_control, "not bitwise"),
        ("uniform", drop_instead, "differs from what is expected"),
        ("mask", drop_causality, "to a key that its mask forbids"),
        ("cache", forget_decoding, "Under `uniform`, cached decoding differs"),
        ("restore", leave_something, "leaves something behind"),
    ],
)
def test_a_check_notices_what_it_is_there_for(
    subject: Subject,
    check: str,
    mutation: Callable[[pytest.MonkeyPatch], None],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    CHECKS[check](subject)
    mutation(monkeypatch)
    with pytest.raises((CheckError, InterventionError), match=message):
        CHECKS[check](subject)


@contextmanager
def opened(intervention: Intervention) -> Iterator[None]:
    with intervene(build("qwen3_5"), intervention):
        yield


def test_layers_without_attention_are_left_out_loudly() -> None:
    with (
        pytest.warns(UserWarning, match=r"layers \[0, 2\] have no attention matrix .*linear"),
        opened(load("uniform")),
    ):
        pass
    with (
        pytest.raises(InterventionError, match=r"layers \[2\] have no attention matrix"),
        opened(load("uniform", layers=[2, 3])),
    ):
        pass
