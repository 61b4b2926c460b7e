"""The seven checks. Each is independent of the others and raises `CheckError` with one sentence.

What is right is found without our code: by changing pixels, by watching the model's own eager
attention, by editing its weights from the definition in words.

Axes: B batch, T tokens, Q rows, K keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from conformance.native import attending, uniform_by_hand, watched, wrapped
from conformance.observing import (
    TOLERANCE,
    CheckError,
    UnavailableError,
    close,
    decoder_embeddings,
    difference,
    mask_kinds,
    module_layers,
    recorded,
    running_on,
    same,
    state,
    visual_columns,
)
from conformance.sizes import FIRST_TEXT_ID
from conformance.tiny_inputs import Inputs, Prompt, extended, make_inputs
from interventions import intervene, load
from interventions.methods.selectors import ROLES, token_roles
from interventions.patching.decoders import BACKENDS, SESSION
from interventions.patching.upstream import image_token

PAIR = (9, 6)  # text tokens of the two rows of a batch
NEW = 4  # tokens of an answer


@dataclass(eq=False)
class Subject:
    """A model under examination, and what was noticed about it on the way."""

    family: str
    model: PreTrainedModel
    notes: dict[str, Any] = field(default_factory=dict)

    def inputs(self, **prompt: Any) -> Inputs:
        return make_inputs(self.model, self.family, Prompt(**prompt))

    def batch(self, padding: str) -> Inputs:
        """Two rows of different length with one image each."""
        return self.inputs(lengths=PAIR, images=(1, 1), padding=padding)

    def logits(self, inputs: Inputs) -> Float[Tensor, "batch token vocabulary"]:
        with torch.no_grad():
            return self.model(**inputs).logits

    def attending(self) -> list[nn.Module]:
        """The decoder's attention modules, found by reading text without an image."""
        modules = attending(self.model, self.inputs(images=(0,)))
        if not modules:
            raise CheckError(
                f"The decoder of {type(self.model).__name__} computes attention by itself, "
                "without transformers' attention interface."
            )
        return modules


def reaches_decoder(subject: Subject) -> None:
    """The hook is on the self-attention of every attending decoder layer, and on nothing else."""
    model, inputs = subject.model, subject.inputs()
    expected = {id(module) for module in subject.attending()}
    embeddings = decoder_embeddings(model, inputs)
    with recorded() as calls, intervene(model, load("uniform")) as log:
        edited = decoder_embeddings(model, inputs)
        reached = {id(module) for module, _ in calls if SESSION in module.__dict__}
    names = {id(module): name for name, module in model.named_modules()}
    if reached != expected:
        missing = sorted(names[key] for key in expected - reached)
        extra = sorted(names[key] for key in reached - expected)
        raise CheckError(f"The hook misses the attention of {missing} and wrongly edits {extra}.")
    if not torch.equal(embeddings, edited):
        raise CheckError("The image features change under an edit of the decoder.")
    if not log.entries_edited:
        raise CheckError("The hook edited nothing.")
    plain = subject.logits(inputs)
    for layer in sorted(module_layers(model)):
        with intervene(model, load("uniform", layers=[layer])):
            if torch.equal(plain, subject.logits(inputs)):
                raise CheckError(f"Editing decoder layer {layer} alone changes no logit.")


def finds_image_tokens(subject: Subject) -> None:
    """Exactly the columns that change with the pixels have the role `image`."""
    cases: dict[str, dict[str, Any]] = {
        "one image": {"lengths": PAIR, "images": (1, 1), "padding": "left"},
        "one image, padded right": {"lengths": PAIR, "images": (1, 1), "padding": "right"},
        "several images": {"lengths": PAIR, "images": (2, 2)},
        "split tiles": {"split": True},
        "no image": {"images": (0,)},
    }
    accepted = []
    for name, prompt in cases.items():
        try:
            inputs = subject.inputs(**prompt)
            changed = visual_columns(subject.model, inputs)
        except (ValueError, RuntimeError, LookupError, TypeError, StopIteration):
            if name.startswith("one image"):
                raise
            continue  # the model itself refuses such a prompt
        accepted.append(name)
        real = inputs["attention_mask"].bool()
        roles = token_roles(inputs["input_ids"], real, real.sum(dim=1), image_token(subject.model))
        marked = roles == ROLES.index("image")
        if not torch.equal(marked, changed):
            raise CheckError(
                f"With {name}, columns {marked.nonzero().tolist()[:6]} have the role image but "
                f"columns {changed.nonzero().tolist()[:6]} change with the pixels."
            )
    subject.notes["prompts"] = accepted


def learned_is_vanilla(subject: Subject) -> None:
    """`learned` gives the logits of the untouched model, bit for bit, on every backend."""
    backends = []
    for backend in BACKENDS:
        try:
            with running_on(subject.model, backend):
                for padding in ("left", "right"):
                    inputs = subject.batch(padding)
                    plain = subject.logits(inputs)
                    with intervene(subject.model, load("learned")):
                        same(subject.logits(inputs), plain, f"Under `learned` on {backend}")
        except UnavailableError:
            continue
        backends.append(backend)
    subject.notes["backends"] = backends


def uniform_is_right(subject: Subject) -> None:
    """`uniform` gives what editing the model's own eager weights by the definition gives."""
    model, modules = subject.model, subject.attending()
    for padding in ("left", "right"):
        inputs = subject.batch(padding)
        image = visual_columns(model, inputs)
        real = inputs["attention_mask"].bool()
        rows = real & ~image & (image.cumsum(dim=1) > 0)
        with wrapped(model, uniform_by_hand(modules, image, rows)):
            expected = subject.logits(inputs)
        plain = subject.logits(inputs)
        if difference(plain[rows], expected[rows]) < 10 * TOLERANCE:
            raise CheckError("The edit by hand changes too little to judge by.")
        for backend in subject.notes.get("backends", ["eager"]):
            with running_on(model, backend), intervene(model, load("uniform")):
                ours = subject.logits(inputs)
            close(ours[real], expected[real], f"`uniform` on {backend}, padded {padding},")


def respects_masks(subject: Subject) -> None:
    """Edited weights are exactly 0 wherever the family's own mask forbids, and on padding."""
    kinds: set[str] = set()
    for padding in ("left", "right"):
        inputs = subject.batch(padding)
        real = inputs["attention_mask"].bool()
        decoder = {id(module) for module in subject.attending()}
        with watched(subject.model) as native:
            subject.logits(inputs)
        with watched(subject.model) as hooked, intervene(subject.model, load("learned")):
            subject.logits(inputs)
        for before, after in zip(native, hooked, strict=True):
            if not torch.equal(before.allowed, after.allowed):
                raise CheckError("The hook changes the mask that the model makes.")
        # sparse attention makes its mask from what it reads, which an edit changes
        with (
            watched(subject.model) as native,
            recorded() as calls,
            intervene(subject.model, load("uniform")),
        ):
            subject.logits(inputs)
        masks = {id(call.module): call.allowed for call in native if id(call.module) in decoder}
        edited = {id(module): weights for module, weights in calls}
        for key, allowed in masks.items():
            kinds |= mask_kinds(allowed[:, 0], real)
            forbidden = (~allowed | ~real[:, None, None, :]) & real[:, None, :, None]
            leak = (edited[key] * forbidden).abs().max().item()
            if leak > 0:
                raise CheckError(
                    f"An edited row gives {leak:.2g} of its attention to a key that its mask "
                    f"forbids (padded {padding})."
                )
    subject.notes["masks"] = sorted(kinds)


def cache_is_equivalent(subject: Subject) -> None:
    """Prefill and cached decoding give what one forward over prompt and answer gives."""
    inputs = subject.inputs()
    length = inputs["input_ids"].shape[1]

    def both(name: str) -> tuple[Tensor, Tensor]:
        with intervene(subject.model, load(name)) as log, torch.no_grad():
            steps = subject.model.generate(
                **inputs,
                **{"max_new_tokens": NEW, "min_new_tokens": NEW, "do_sample": False},
                suppress_tokens=list(range(FIRST_TEXT_ID)),  # no images, no special tokens
                pad_token_id=0,
                use_cache=True,
                output_logits=True,
                return_dict_in_generate=True,
            )
            answer = steps.sequences[:, length : length + NEW - 1]
            log.expect(["sample"], [length])
            whole = extended(subject.model, subject.family, inputs, answer)
            together = subject.model(**whole).logits[:, length - 1 :]
        return torch.stack(steps.logits, dim=1), together

    close(*both("learned"), "Without any edit, cached decoding")
    close(*both("uniform"), "Under `uniform`, cached decoding")


def is_restored(subject: Subject) -> None:
    """Leaving the context, also by an exception, restores the model bit for bit."""
    model, inputs = subject.model, subject.batch("left")
    plain, before = subject.logits(inputs), state(model)
    with intervene(model, load("uniform")):
        subject.logits(inputs)
    try:
        with intervene(model, load("uniform")):
            raise InterruptedError
    except InterruptedError:
        pass
    if state(model) != before:
        raise CheckError("Leaving the context leaves something behind on the model.")
    same(subject.logits(inputs), plain, "After leaving the context")


CHECKS: Mapping[str, Callable[[Subject], None]] = {
    "reach": reaches_decoder,
    "tokens": finds_image_tokens,
    "learned": learned_is_vanilla,
    "uniform": uniform_is_right,
    "mask": respects_masks,
    "cache": cache_is_equivalent,
    "restore": is_restored,
}
