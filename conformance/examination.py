"""One family examined: certified, or not possible because of one exact reason."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel

from conformance.builders import build
from conformance.checks import CHECKS, Subject
from conformance.native import watched
from conformance.observing import CheckError
from conformance.reasons import REASONS
from interventions import InterventionError, intervene, load
from interventions.patching.decoders import SESSION

FEATURES = {
    "softcap": "softcap",
    "s_aux": "attention sinks",
    "position_bias": "relative position bias",
}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is known about a family."""

    family: str
    reason: str | None = None  # why it is not possible; None when it is certified
    attention: str = ""  # class of the decoder's attention
    skipped: str = ""  # layers of the tiny model that have no attention matrix
    prompts: tuple[str, ...] = ()  # kinds of prompt that the model accepts and check 2 found right
    masks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def certified(self) -> bool:
        return self.reason is None


def examine(family: str, checks: Sequence[str] = tuple(CHECKS)) -> Verdict:
    """Build the family's tiny model and run the checks on it; one failure is the verdict."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _examined(family, checks)
    except (CheckError, InterventionError) as refusal:
        return Verdict(family=family, reason=REASONS.get(family, str(refusal)))
    except ImportError as missing:
        first = " ".join(str(missing).split()).partition(". ")[0]
        return Verdict(family=family, reason=f"A library is missing: {first}.")
    except Exception as error:  # one broken family must not hide the others
        what = " ".join(str(error).split()) or "no message"
        reason = f"Its tiny model does not run: {type(error).__name__}: {what[:160]}"
        return Verdict(family=family, reason=REASONS.get(family, reason))


def _examined(family: str, checks: Sequence[str]) -> Verdict:
    model = build(family)
    with intervene(model, load("learned")):
        pass  # a decoder that cannot be patched is refused here, before inputs are made for it
    model.set_attn_implementation("eager")
    subject = Subject(family, model)
    attention, notes = described(subject)
    for name in checks:
        CHECKS[name](subject)
    return Verdict(
        family=family,
        attention=", ".join(dict.fromkeys(type(module).__name__ for module in attention)),
        skipped=skipped_layers(model),
        prompts=tuple(subject.notes.get("prompts", ())),
        masks=tuple(subject.notes.get("masks", ())),
        notes=notes,
    )


def described(subject: Subject) -> tuple[list[nn.Module], tuple[str, ...]]:
    """The decoder's attention modules, and what is special about how they attend."""
    model, text = subject.model, subject.inputs(images=(0,))
    with intervene(model, load("learned")):
        subject.logits(text)  # calls that cannot be edited are refused here
    with watched(model) as calls, torch.no_grad():
        model(**text)
    notes = [name for key, name in FEATURES.items() if any(key in call.extras for call in calls)]
    if any(call.key.shape[-1] != call.value.shape[-1] for call in calls):
        notes.append("values and keys of different width (MLA)")
    if any("deepstack" in name or name == "visual_pos_masks" for name in decoder_arguments(model)):
        notes.append("DeepStack: image features also enter later layers, past attention")
    return subject.attending(), tuple(notes)


def decoder_arguments(model: PreTrainedModel) -> tuple[str, ...]:
    return tuple(inspect.signature(model.get_decoder().forward).parameters)


def skipped_layers(model: PreTrainedModel) -> str:
    """Layers without attention: how many of the tiny model's, and what they are."""
    with intervene(model, load("learned")):
        sessions = [vars(module)[SESSION] for module in model.modules() if SESSION in vars(module)]
    decoder = sessions[0].decoder
    if not decoder.skipped:
        return ""
    kinds = ", ".join(sorted(set(decoder.skipped.values())))
    return f"{len(decoder.skipped)} of {len(decoder.blocks)}: {kinds}"
