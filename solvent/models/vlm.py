"""A checkpoint behind one interface, whatever its family.

vlm = load(name="tiny", checkpoint=..., ...)  # all arguments: conf/model/hub.yaml
batch = vlm.encode([Prompt(uid="1", images=(image,), text="Is there a cat?")])
vlm.rank(batch, [["yes", "no"]])  # log-probabilities of both answers
with vlm.intervene(intervention) as log:
    vlm.generate(batch, max_new_tokens=8)  # an answer, with edited attention
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import cached_property, partial
from itertools import zip_longest
from typing import Any, Literal

import torch
from jaxtyping import Float
from jinja2 import TemplateError
from torch import Tensor
from transformers import PreTrainedModel, ProcessorMixin

from interventions import capture, intervene, shares
from interventions.calls import Block
from interventions.controls.noised import Draw, Which, check_noisable, noised_weights
from interventions.controls.reinitialised import check_reinitialisable, reinitialised_weights
from interventions.looking.shares import Tokens
from interventions.methods.selectors import Span
from interventions.patching.decoders import innermost
from interventions.patching.upstream import image_token, media_tokens, prompt_positions
from solvent.core.image_places import in_text_order
from solvent.core.types import Box, CandidateScore, Lens, Prompt, Response
from solvent.models.appearance import Appearance, appearance
from solvent.models.chat import Chat
from solvent.models.check import check
from solvent.models.checkpoint import (
    DAMAGED,
    Source,
    check_family,
    explained,
    find_source,
    library_versions,
    load_weights,
    loaded_version,
    read_config,
)
from solvent.models.devices import Placement, devices_of, input_device
from solvent.models.features import FeatureCache, fingerprint, sees_encoder
from solvent.models.noised_embeddings import noised
from solvent.models.precision import tf32_is_allowed
from solvent.models.prefill import EncodedBatch, Prefill, on_device
from solvent.models.processor import load_processor
from solvent.models.reading import Read, Reader, runs_of_one, same_text
from solvent.models.refusals import ModelError, PromptError
from solvent.models.speaking import Speaker
from solvent.models.states import StateWatch
from solvent.models.unembedding import Unembedding
from solvent.models.updates import UpdateWatch


class VLM:
    """A model and its processor. Its only state is who watches, and the intervention now active."""

    def __init__(
        self,
        *,
        name: str,
        source: Source,
        model: PreTrainedModel,
        processor: ProcessorMixin,
        image_backend: str,
        chat_template: str | None,
        thinking: int,
        feature_cache_mb: int,
    ) -> None:
        self.name = name
        self.family: str = model.config.model_type
        self.model = model
        self.processor = processor
        media = media_tokens(model.config)
        self.chat = Chat(processor, media, chat_template, thinking)
        self.reader = Reader(processor, self.chat, model)
        own = deepcopy(processor)  # for the thread that asks: `encode` may be in another one
        self._answers = Chat(own, media, chat_template, thinking)
        self.image_backend = image_backend
        self.features = FeatureCache(model, Reader(own, self._answers, model), feature_cache_mb)
        self.unembedding = Unembedding(model)
        self._source = source
        self._log: Any = None
        self._watch: StateWatch | None = None
        self._update_watch: UpdateWatch | None = None
        self._compares_rotation = False
        self._encoder_is_seen = False  # by the intervention now active
        self._needs_turns = False  # the same one
        self._needs_filler = False  # whoever watches shares of attention

    @property
    def device(self) -> torch.device:
        """Where inputs go."""
        return input_device(self.model)

    @cached_property  # the configuration is slow to ask, and this is asked for every token
    def image_token_id(self) -> int:
        """The token that an image feature replaces."""
        token = image_token(self.model)
        if token is None:
            raise ModelError(
                f"Expected {self.name!r} to be a vision-language model whose configuration names "
                f"an image token, but {type(self.model.config).__name__} names none; set "
                "model.checkpoint to a model of one of the families that `solvent families` lists."
            )
        return token

    def encode(self, prompts: Sequence[Prompt]) -> EncodedBatch:
        """Render, tokenise, left-pad; prompts with none, one and several images may be mixed.

        May run in one other thread while this one ranks or generates. Raises `PromptError`.
        """
        rendered = [self.chat.render(prompt) for prompt in prompts]
        pictures = tuple(tuple(shown) for _, shown in rendered)
        texts = tuple(text + self.reader.tail for text, _ in rendered)
        token_ids = tuple(tuple(ids) for ids in self.chat.tokens(texts))
        for prompt, ids in zip(prompts, token_ids, strict=True):
            self.chat.refuse_reserved(prompt, ids, self.reader.tail)
        read = self.reader.read([text for text, _ in rendered], pictures)
        self._check_same_text(prompts, read, token_ids)
        kept = pictures if self.features.active else ()
        names = tuple(tuple(map(fingerprint, shown)) for shown in kept)
        inputs = on_device(self.model, read.inputs)
        return EncodedBatch(
            uids=tuple(prompt.uid for prompt in prompts),
            inputs=inputs,
            positions=prompt_positions(self.model, inputs),
            texts=texts,
            token_ids=token_ids,
            prompt_tokens=tuple(inputs["attention_mask"].sum(dim=1).tolist()),
            image_tokens=tuple((inputs["input_ids"] == self.image_token_id).sum(dim=1).tolist()),
            messages=tuple(self.chat.message(prompt) for prompt in prompts),
            regions=tuple(map(regions_of, prompts)),
            filler=tuple(prompt.filler for prompt in prompts),
            noise=tuple(prompt.noise for prompt in prompts),
            picture_counts=tuple(map(len, pictures)),
            pictures=kept,
            names=names,
            unseen=self.features.unseen(self.reader, names, kept),
        )

    @torch.inference_mode()
    def rank(
        self, batch: EncodedBatch, candidates: Sequence[Sequence[str]]
    ) -> list[list[CandidateScore]]:
        """Score every candidate answer of every prompt, turn terminator included.

        score = sum_j ln P(token_j | prompt, tokens before j), in float32, not normalised. The
        prompts are read once; the k-th candidates of all prompts then continue them together.
        Raises `PromptError`, before anything is read, where a candidate cannot be an answer, and
        `ModelError` where the model is to think first.
        """
        if self.chat.thinking:
            raise ModelError(
                f"Expected model.thinking=0 to rank candidates, but it is {self.chat.thinking}: a "
                "candidate behind an open thought would be scored as one; set it to 0, or "
                "benchmark.answer.mode=generate."
            )
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

        New text only, special tokens and thoughts removed. Sampling settings and penalties that a
        checkpoint ships with play no role.
        """
        return [response.answer for response in self.respond(batch, max_new_tokens)]

    @torch.inference_mode()
    def respond(
        self,
        batch: EncodedBatch,
        max_new_tokens: int,
        begun: Sequence[Sequence[int]] | None = None,
    ) -> list[Response]:
        """As `generate`, and what the model thought before it answered.

        A thought that has taken `model.thinking` tokens is ended; those of the answer come on top.
        Where answers were `begun`, perhaps to other pictures, the model reads these tokens as its
        own and goes on.
        """
        rows = self._speak(batch, max_new_tokens, begun)
        responses = [self._answers.response(row) for row in rows]
        if begun is None:
            return responses
        given = self._answers.decode(
            [said[len(row.opening) :] for said, row in zip(begun, rows, strict=True)]
        )
        return [replace(one, begun=text) for one, text in zip(responses, given, strict=True)]

    @torch.inference_mode()
    def begin(self, batch: EncodedBatch, max_new_tokens: int) -> list[list[int]]:
        """Answer, and what was said up to the end of the answer's first sentence, as tokens."""
        return [
            self._answers.first_sentence(row) for row in self._speak(batch, max_new_tokens, None)
        ]

    def _speak(
        self, batch: EncodedBatch, max_new_tokens: int, begun: Sequence[Sequence[int]] | None
    ) -> list[Speaker]:
        """What is said to every prompt, from its beginning on where that is given."""
        prompts = self._prefill(batch)
        thinking, stops = self._answers.how_it_thinks, self._stop_tokens()
        rows = [Speaker(max_new_tokens, stops, thinking) for _ in batch.uids]
        given = [list(reversed(tokens)) for tokens in begun or [()] * len(rows)]
        while True:
            likeliest = prompts.next_tokens().tolist()
            said = [
                row.says(own.pop() if own else token)
                for row, own, token in zip(rows, given, likeliest, strict=True)
            ]
            running = [not row.over for row in rows]
            if not any(running):
                return rows
            tokens = torch.tensor(said, device=self.device)[:, None]
            prompts.extend(tokens, torch.tensor(running, device=self.device)[:, None])

    def intervene(
        self, intervention: Any, execution: str = "fused", must_edit: bool = True
    ) -> AbstractContextManager[Any]:
        """Apply an intervention to everything inside the `with` block; yields its log."""
        make = partial(intervene, self.model, intervention, execution, must_edit=must_edit)
        return Block("vlm.intervene", lambda: self._named(make, intervention))

    def capture(self, rows: int, intervention: Any = None) -> AbstractContextManager[Any]:
        """See where the last prompt rows look inside the `with` block: under an intervention, or
        where nothing is changed.
        """
        make = partial(capture, self.model, rows, intervention)
        return Block("vlm.capture", lambda: self._named(make, intervention))

    def watch_shares(
        self, intervention: Any, execution: str = "fused", must_edit: bool = True
    ) -> AbstractContextManager[Any]:
        """Intervene, and see how attention is shared out; yields a log whose `log` is the usual."""
        make = partial(shares, self.model, intervention, execution, must_edit)
        return Block("vlm.watch_shares", lambda: self._named(make, intervention, filler=True))

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
    def watch_updates(self, lens: Lens) -> Iterator[UpdateWatch]:
        """Measure what decoder layers add to the residual stream of prompts, as `watch_states`."""
        if self._update_watch is not None:
            raise ModelError(f"The updates of {self.name!r} are already watched; leave that block.")
        decoder = innermost(self.model.get_decoder())
        self._update_watch = UpdateWatch(
            model=self.model,
            image_token_id=self.image_token_id,
            layers=len(decoder.layers),
            width=decoder.config.hidden_size,
            lens=lens,
        )
        try:
            yield self._update_watch
        finally:
            self._update_watch = None

    @contextmanager
    def other_weights(
        self, which: Which | Literal["all"], *, seed: int, draw: Draw
    ) -> Iterator[None]:
        """Answer with weights that were drawn anew, for the length of the block; see
        interventions.controls.

        Arguments:
            which: "qkv" or "ffn" of the decoder, as noise with the moments of the learned ones; or
                "all" weights, the vision encoder's too, as before any training.
            draw: "own" or "same" streams of the noise.
        """
        with ExitStack() as stack:
            if which == "all":
                stack.enter_context(reinitialised_weights(self.model, seed=seed))
                stack.enter_context(self.features.of_another())
            else:
                stack.enter_context(noised_weights(self.model, which, seed=seed, draw=draw))
            yield

    def check_weights(self, which: Which | Literal["all"]) -> None:
        """Raise `InterventionError` where `other_weights` cannot be; nothing is drawn."""
        if which == "all":
            check_reinitialisable(self.model)
        else:
            check_noisable(self.model, which)

    @contextmanager
    def compare_rotation(self) -> Iterator[None]:
        """Whoever watches updates inside of the block measures attention with rotation by position
        against attention without, of the same layer inputs, in place of the updates.

        Prompts that are measured are read three times; what the model says is what it says anyway.
        """
        before, self._compares_rotation = self._compares_rotation, True
        try:
            yield
        finally:
            self._compares_rotation = before

    @contextmanager
    def _named(
        self,
        make: Callable[[], AbstractContextManager[Any]],
        intervention: Any,
        filler: bool = False,
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
            self._needs_turns = intervention is not None and intervention.needs_turns
            self._needs_filler = filler
            try:
                yield log
            finally:
                self._log, self._encoder_is_seen = None, False
                self._needs_turns = self._needs_filler = False

    def provenance(self) -> dict[str, Any]:
        """What exactly was loaded, and how: plain values only."""
        return {
            "name": self.name,
            "family": self.family,
            "checkpoint": self._source.location,
            **self._version,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "tf32": tf32_is_allowed(),
            "devices": devices_of(self.model),
            "attention": self.model.config._attn_implementation,
            "image_backend": self.image_backend,
            "image_size": dict(self.processor.image_processor.size or {}),
            "image_processor": type(self.processor.image_processor).__name__,
            "parameters": self.model.num_parameters(),
            "versions": library_versions(),
        }

    @cached_property
    def _version(self) -> dict[str, Any]:
        return loaded_version(self._source)

    def appearance(self, batch: EncodedBatch) -> Appearance:
        """What the model gets of a batch of one prompt, for people to look at."""
        try:
            turns = self._turns(batch)
        except PromptError:  # then all text before the image is shown as system
            turns = None
        return appearance(self.processor, batch, self.image_token_id, turns)

    def _turns(self, batch: EncodedBatch) -> list[tuple[Span, ...]]:
        """Which tokens of every prompt are the user's own words. Raises `PromptError`."""
        ids, masks = batch.inputs["input_ids"], batch.inputs["attention_mask"].bool()
        rows = zip(batch.uids, batch.messages, ids, masks, strict=True)
        return [
            self._answers.turns(uid, message, row[mask].tolist())
            for uid, message, row, mask in rows
        ]

    def _filler(self, batch: EncodedBatch) -> list[tuple[Tokens, ...]]:
        """Where the filler of every prompt stands; nothing where that is not sure."""
        ids, masks = batch.inputs["input_ids"], batch.inputs["attention_mask"].bool()
        rows = zip(batch.texts, batch.filler, ids, masks, strict=True)
        return [
            self._answers.passages(text, filler, row[mask].tolist()) if filler else ()
            for text, filler, row, mask in rows
        ]

    def _check_same_text(
        self, prompts: Sequence[Prompt], read: Read, token_ids: Sequence[Sequence[int]]
    ) -> None:
        """Answers continue `token_ids`: the model must read these, and what stands for images."""
        marks, text_of, image = self.chat.image_marks, self.chat.text_of, self.image_token_id
        rows = zip(
            prompts,
            read.inputs["input_ids"],
            read.inputs["attention_mask"],
            token_ids,
            read.expanded,
            strict=True,
        )
        for prompt, row, mask, expected, whole in rows:
            ids = row[mask.bool()].tolist()
            if runs_of_one(ids, image) == runs_of_one(expected, image):
                continue  # nothing stands for a picture but its own tokens
            told = None if whole is None else self.chat.tokens([whole + self.reader.tail])[0]
            if not same_text(ids, expected, told, marks, image, text_of):
                raise PromptError(
                    f"Expected {type(self.processor).__name__} and the tokenizer to read the text "
                    f"of {prompt.uid!r} alike, but their tokens differ; correct processor_class or "
                    "the tokenizer's files in the checkpoint, or set batch_size=1 where it differs "
                    "only beside prompts with images.",
                    prompt.uid,
                )

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
        """Read the prompts; first for what is compared, where somebody asks for it."""
        resting = self._log is not None and self._log.resting  # a prompt that is not measured
        if self._compares_rotation and self._update_watch is not None and not resting:
            self._update_watch.compare_rotation(batch, lambda: self._read(batch, ()))
            if self._log is not None:
                self._log.drop()  # what was edited meanwhile is none of the answer
            return self._read(batch, (self._watch,))
        return self._read(batch, () if resting else (self._watch, self._update_watch))

    def _read(
        self, batch: EncodedBatch, watches: Sequence[StateWatch | UpdateWatch | None]
    ) -> Prefill:
        """Read the prompts, telling an active intervention whose they are, and what matters."""
        if self._log is not None:
            known = any(boxes for row in batch.regions for boxes in row)
            told = {"filler": self._filler(batch)} if self._needs_filler and batch.filler else {}
            self._log.expect(
                samples=list(batch.uids),
                regions=batch.regions if known else None,
                pictures=batch.picture_counts or None,
                turns=self._turns(batch) if self._needs_turns else None,
                **told,
            )
        batch = batch if self._encoder_is_seen else self.features.fill(batch)
        with ExitStack() as stack:
            if any(seed is not None for seed in batch.noise):
                decoder = innermost(self.model.get_decoder())
                stack.enter_context(noised(decoder, batch, self.image_token_id))
            for watch in watches:
                if watch is not None:
                    stack.enter_context(watch.reading(batch))
            return Prefill(self.model, batch, self.unembedding)


def regions_of(prompt: Prompt) -> tuple[tuple[Box, ...], ...]:
    """Boxes of every picture in the order of the text; none for one of which nobody knows any."""
    unknown = [()] * (len(prompt.images) - len(prompt.regions))
    return tuple(in_text_order(prompt.text, [*prompt.regions, *unknown]))


@contextmanager
def blamed_too(image_settings: Mapping[str, Any]) -> Iterator[None]:
    """What a check refuses may be due to these settings, which are not the checkpoint's."""
    try:
        yield
    except ModelError as error:
        if not image_settings:
            raise
        raise ModelError(
            f"{str(error).removesuffix('.')}; or mend model.image_settings={dict(image_settings)}, "
            "which is not the checkpoint's own."
        ) from error


def load(
    *,
    name: str,
    checkpoint: str,
    revision: str,
    dtype: str,
    device: str,
    max_memory: Mapping[int | str, int | str] | None,
    offload_folder: str | None,
    quantization: str,
    attention: str,
    image_backend: str,
    min_pixels: int | None,
    max_pixels: int | None,
    image_settings: Mapping[str, Any],
    chat_template: str | None,
    thinking: int,
    feature_cache_mb: int,
    trust_remote_code: bool,
) -> VLM:
    """Load a checkpoint of any family and check it; arguments are explained in conf/model/hub.yaml.

    Raises `ModelError`, one sentence long, if the checkpoint is missing, incomplete, or cannot be
    used.
    """
    source = find_source(checkpoint, revision, trust_remote_code)
    config = read_config(source)
    check_family(config)
    limits = {"min_pixels": min_pixels, "max_pixels": max_pixels}
    given = {key: value for key, value in limits.items() if value is not None}
    placement = Placement(
        dtype=dtype,
        device=device,
        max_memory=max_memory,
        offload_folder=offload_folder,
        quantization=quantization,
    )
    with explained(source, "processor and tokenizer", DAMAGED):
        processor = load_processor(
            config,
            source.location,
            image_backend=image_backend,
            image_settings={**given, **image_settings},
            **source.hub,
        )
    vlm = VLM(
        name=name,
        source=source,
        model=load_weights(source, placement, attention).requires_grad_(False),
        processor=processor,
        image_backend=image_backend,
        chat_template=chat_template,
        thinking=thinking,
        feature_cache_mb=feature_cache_mb,
    )
    with explained(source, "chat template", (TemplateError,)), blamed_too(image_settings):
        check(vlm)
    return vlm
