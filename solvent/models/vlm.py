"""A checkpoint behind one interface, whatever its family.

vlm = load(name="tiny", checkpoint=..., ...)  # all arguments: conf/model/tiny.yaml
batch = vlm.encode([Prompt(uid="1", images=(image,), text="Is there a cat?")])
vlm.rank(batch, [["yes", "no"]])  # log-probabilities of both answers
with vlm.intervene(intervention) as log:
    vlm.generate(batch, max_new_tokens=8)  # an answer, with edited attention
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from functools import cached_property, partial
from itertools import zip_longest
from typing import Any

import torch
from jaxtyping import Float, Int
from jinja2 import TemplateError
from torch import Tensor
from transformers import PreTrainedModel, ProcessorMixin

from interventions import capture, intervene, shares
from interventions.calls import Block
from interventions.patching.decoders import innermost
from solvent.core.types import CandidateScore, Prompt
from solvent.models.appearance import Appearance, appearance
from solvent.models.chat import Chat
from solvent.models.check import check
from solvent.models.checkpoint import (
    DAMAGED,
    Source,
    explained,
    find_source,
    library_versions,
    load_weights,
    loaded_version,
    read_config,
)
from solvent.models.family import Family, find_family, load_processor
from solvent.models.features import FeatureCache, fingerprint, sees_encoder
from solvent.models.prefill import EncodedBatch, Prefill
from solvent.models.refusals import ModelError, PromptError
from solvent.models.states import StateWatch

PER_TOKEN = ("input_ids", "attention_mask")  # what remains of the inputs without images


class VLM:
    """A model and its processor. Its only state is who watches, and the intervention now active."""

    def __init__(
        self,
        *,
        name: str,
        family: Family,
        source: Source,
        model: PreTrainedModel,
        processor: ProcessorMixin,
        image_backend: str,
        feature_cache_mb: int,
    ) -> None:
        self.name = name
        self.family = family
        self.model = model
        self.processor = processor
        self.chat = Chat(processor)
        self._answers = Chat(deepcopy(processor))  # own tokenizer: `encode` may be in a thread
        self.image_backend = image_backend
        self.features = FeatureCache(model, feature_cache_mb)
        self._source = source
        self._log: Any = None
        self._watch: StateWatch | None = None
        self._encoder_is_seen = False  # by the intervention now active

    @property
    def device(self) -> torch.device:
        """Where inputs go: the device of the first weight that is not off-loaded."""
        return next(p.device for p in self.model.parameters() if p.device.type != "meta")

    @cached_property  # the configuration is slow to ask, and this is asked for every token
    def image_token_id(self) -> int:
        """The token that an image feature replaces."""
        return self.model.config.image_token_id

    def encode(self, prompts: Sequence[Prompt]) -> EncodedBatch:
        """Render, tokenise, left-pad; prompts with none, one and several images may be mixed.

        May run in one other thread while this one ranks or generates. Raises `PromptError`.
        """
        rendered = [self.chat.render(prompt) for prompt in prompts]
        texts = tuple(text for text, _ in rendered)
        token_ids = tuple(tuple(ids) for ids in self.chat.tokens(texts))
        for prompt, ids in zip(prompts, token_ids, strict=True):
            self.chat.refuse_reserved(prompt, ids)
        images = [pictures for _, pictures in rendered if pictures]
        encoded = self.processor(
            images=images or None,
            text=list(texts),
            padding=True,
            add_special_tokens=self.chat.adds_special_tokens,
            return_tensors="pt",
        )
        inputs = {key: self._place(value) for key, value in encoded.items()}
        self._check_same_text(prompts, inputs, token_ids)
        if not images:  # a model must not look for images that are not there
            inputs = {key: value for key, value in inputs.items() if key in PER_TOKEN}
        mask = inputs["attention_mask"]
        return EncodedBatch(
            uids=tuple(prompt.uid for prompt in prompts),
            inputs=inputs,
            positions=self._positions(inputs),
            texts=texts,
            token_ids=token_ids,
            prompt_tokens=tuple(mask.sum(dim=1).tolist()),
            image_tokens=tuple((inputs["input_ids"] == self.image_token_id).sum(dim=1).tolist()),
            regions=tuple(prompt.regions for prompt in prompts),
            pictures=tuple(tuple(map(fingerprint, pictures)) for _, pictures in rendered)
            if self.features.active
            else (),
        )

    @torch.inference_mode()
    def rank(
        self, batch: EncodedBatch, candidates: Sequence[Sequence[str]]
    ) -> list[list[CandidateScore]]:
        """Score every candidate answer of every prompt, turn terminator included.

        score = sum_j ln P(token_j | prompt, tokens before j), in float32, not normalised. The
        prompts are read once; the k-th candidates of all prompts then continue them together.
        Raises `PromptError`, before anything is read, where a candidate cannot be an answer.
        """
        answers = self._answer_tokens(batch, candidates)
        prompts = self._prefill(batch)
        scores: list[list[CandidateScore]] = [[] for _ in answers]
        for column in zip_longest(*answers, fillvalue=[]):
            sums = prompts.score(column).tolist()
            for row, tokens in enumerate(column):
                if tokens:
                    score = CandidateScore(log_probability=sums[row], tokens=len(tokens))
                    scores[row].append(score)
        return scores

    def answers(
        self, batch: EncodedBatch, candidates: Sequence[Sequence[str]]
    ) -> tuple[Float[Tensor, "batch vocabulary"], Float[Tensor, "batch candidate"]]:
        """Log-probabilities of the next token, and of every candidate answer as `rank` scores it.

        -inf where a prompt has fewer candidates than others. Differentiable in whatever parameters
        an intervention has.
        """
        answers = self._answer_tokens(batch, candidates)
        prompts = self._prefill(batch)
        following = prompts.logits().log_softmax(dim=-1)
        columns = list(zip_longest(*answers, fillvalue=[]))
        scores = following.new_full((len(answers), len(columns)), -torch.inf)
        for place, column in enumerate(columns):
            present = torch.tensor([bool(tokens) for tokens in column], device=scores.device)
            found = prompts.score(column).to(scores.device)
            scores[:, place] = torch.where(present, found, -torch.inf)
        return following, scores

    @torch.inference_mode()
    def generate(self, batch: EncodedBatch, max_new_tokens: int) -> list[str]:
        """The likeliest token at every step, up to the end of the turn.

        New text only, special tokens removed. Sampling settings and penalties that a checkpoint
        ships with play no role.
        """
        prompts = self._prefill(batch)
        stops = torch.tensor(self._stop_tokens(), device=self.device)
        running = torch.ones(len(batch.uids), dtype=torch.bool, device=self.device)
        answers: list[list[int]] = [[] for _ in batch.uids]
        for step in range(max_new_tokens):
            tokens = prompts.next_tokens()
            running = running & ~torch.isin(tokens, stops)
            for row in running.nonzero()[:, 0].tolist():
                answers[row].append(tokens[row].item())
            if step + 1 == max_new_tokens or not running.any():
                break
            prompts.extend(tokens[:, None], running[:, None])
        return self._answers.decode(answers)

    def intervene(
        self, intervention: Any, execution: str = "fused", must_edit: bool = True
    ) -> AbstractContextManager[Any]:
        """Apply an intervention to everything inside the `with` block; yields its log."""
        make = partial(intervene, self.model, intervention, execution, must_edit=must_edit)
        return Block("vlm.intervene", lambda: self._named(make, intervention))

    def capture(self, rows: int) -> AbstractContextManager[Any]:
        """See where the last prompt rows look inside the `with` block, and change nothing."""
        make = partial(capture, self.model, rows)
        return Block("vlm.capture", lambda: self._named(make, None))

    def watch_shares(
        self, intervention: Any, execution: str = "fused", must_edit: bool = True
    ) -> AbstractContextManager[Any]:
        """Intervene, and see how attention is shared out; yields a log whose `log` is the usual."""
        make = partial(shares, self.model, intervention, execution, must_edit)
        return Block("vlm.watch_shares", lambda: self._named(make, intervention))

    @contextmanager
    def watch_states(self) -> Iterator[StateWatch]:
        """See what the decoder holds of prompts that are read inside the `with` block.

        Works together with an intervention, opened before or after; changes no answer. While an
        intervention's log is paused, nothing is seen.
        """
        if self._watch is not None:
            raise ModelError(f"The states of {self.name!r} are already watched; leave that block.")
        self._watch = StateWatch(innermost(self.model.get_decoder()).layers, self.image_token_id)
        try:
            yield self._watch
        finally:
            self._watch = None

    @contextmanager
    def _named(
        self, make: Callable[[], AbstractContextManager[Any]], intervention: Any
    ) -> Iterator[Any]:
        """A context that is told whose prompts come; no intervention changes nothing."""
        if self._log is not None:
            raise ModelError(
                f"Expected one intervention at a time on {self.name!r}, but another is active; "
                "leave its `with` block first, or compose the two into one intervention."
            )
        with make() as log:
            seen = intervention is not None and sees_encoder(intervention)
            self._log, self._encoder_is_seen = log, seen
            try:
                yield log
            finally:
                self._log, self._encoder_is_seen = None, False

    def provenance(self) -> dict[str, Any]:
        """What exactly was loaded, and how: plain values only."""
        return {
            "name": self.name,
            "family": self.family.model_type,
            "checkpoint": self._source.location,
            **self._version,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "devices": sorted({str(p.device) for p in self.model.parameters()}),
            "attention": self.model.config._attn_implementation,
            "image_backend": self.image_backend,
            "image_size": dict(self.processor.image_processor.size),
            "image_processor": type(self.processor.image_processor).__name__,
            "parameters": self.model.num_parameters(),
            "versions": library_versions(),
        }

    @cached_property
    def _version(self) -> dict[str, Any]:
        return loaded_version(self._source)

    def appearance(self, batch: EncodedBatch) -> Appearance:
        """What the model gets of a batch of one prompt, for people to look at."""
        return appearance(self.processor, batch, self.image_token_id)

    def _place(self, value: Tensor) -> Tensor:
        """Onto the model's device; pixels in the model's precision."""
        dtype = self.model.dtype if value.is_floating_point() else None
        return value.to(device=self.device, dtype=dtype)

    def _check_same_text(
        self,
        prompts: Sequence[Prompt],
        inputs: Mapping[str, Tensor],
        token_ids: Sequence[Sequence[int]],
    ) -> None:
        """Answers continue `token_ids`: the model must read these, plus repeated image tokens."""
        rows = zip(prompts, inputs["input_ids"], inputs["attention_mask"], token_ids, strict=True)
        for prompt, ids, mask, expected in rows:
            read = [token for token in ids[mask.bool()].tolist() if token != self.image_token_id]
            if read != [token for token in expected if token != self.image_token_id]:
                raise PromptError(
                    f"Expected the processor and the tokenizer to read the text of {prompt.uid!r} "
                    "alike, but their tokens differ; check `processor` of this family's row in "
                    "solvent/models/family.py.",
                    prompt.uid,
                )

    def _positions(self, inputs: Mapping[str, Tensor]) -> Int[Tensor, "*axis batch token"]:
        mask = inputs["attention_mask"]
        sequence = (mask.cumsum(dim=1) - 1).clamp_min(0)
        if self.family.positions == "sequence":
            return sequence
        if "pixel_values" not in inputs:
            return sequence.expand(3, *sequence.shape)
        positions, _ = self.model.base_model.get_rope_index(
            inputs["input_ids"],
            mm_token_type_ids=inputs["mm_token_type_ids"],
            image_grid_thw=inputs["image_grid_thw"],
            attention_mask=mask,
        )
        return positions

    def _stop_tokens(self) -> list[int]:
        stops = self.model.generation_config.eos_token_id
        stops = stops if isinstance(stops, list) else [stops]
        return sorted({self._answers.terminator, *(token for token in stops if token is not None)})

    def _answer_tokens(
        self, batch: EncodedBatch, candidates: Sequence[Sequence[str]]
    ) -> list[list[list[int]]]:
        """Tokens of every candidate of every prompt. Raises `PromptError`."""
        rows = zip(batch.uids, batch.texts, batch.token_ids, candidates, strict=True)
        tokens = iter(
            self._answers.answers_tokens(
                [(uid, text, ids, answer) for uid, text, ids, texts in rows for answer in texts]
            )
        )
        return [[next(tokens) for _ in texts] for texts in candidates]

    def _prefill(self, batch: EncodedBatch) -> Prefill:
        """Read the prompts, telling an active intervention whose they are, and what matters."""
        if self._log is not None:
            known = any(boxes for row in batch.regions for boxes in row)
            self._log.expect(samples=list(batch.uids), regions=batch.regions if known else None)
        batch = batch if self._encoder_is_seen else self.features.fill(batch)
        resting = self._log is not None and self._log.resting  # a prompt that is not measured
        seen = None if resting else self._watch
        with nullcontext() if seen is None else seen.reading(batch):
            return Prefill(self.model, batch)


def load(
    *,
    name: str,
    checkpoint: str,
    revision: str,
    dtype: str,
    device: str,
    attention: str,
    image_backend: str,
    min_pixels: int | None,
    max_pixels: int | None,
    feature_cache_mb: int,
    trust_remote_code: bool,
) -> VLM:
    """Load a checkpoint and check it; the arguments are explained in conf/model/tiny.yaml.

    Raises `ModelError`, one sentence long, if the checkpoint is missing, incomplete, or not a known
    family.
    """
    source = find_source(checkpoint, revision, trust_remote_code)
    family = find_family(read_config(source))
    with explained(source, "processor and tokenizer", DAMAGED):
        processor = load_processor(
            family,
            source.location,
            image_backend=image_backend,
            min_pixels=min_pixels,
            max_pixels=max_pixels,
            **source.hub,
        )
    vlm = VLM(
        name=name,
        family=family,
        source=source,
        model=load_weights(source, dtype, device, attention).requires_grad_(False),
        processor=processor,
        image_backend=image_backend,
        feature_cache_mb=feature_cache_mb,
    )
    with explained(source, "chat template", (TemplateError,)):
        check(vlm)
    return vlm
