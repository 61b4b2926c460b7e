"""What a checkpoint's chat template makes of a prompt, and the tokens of an answer after it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property, partial
from itertools import zip_longest
from typing import Any

from PIL import Image

from interventions.looking.shares import Tokens
from interventions.methods.selectors import Span
from interventions.patching.conversation import passage_tokens, written_tokens
from solvent.core.image_places import in_text_order, mentioned_images, with_images
from solvent.core.types import Prompt, Response
from solvent.models.refusals import ModelError, PromptError
from solvent.models.speaking import Speaker, Thinking

_PROBE = "0"  # a text that no template changes or contains
PLAIN = (  # pictures, then the text alone
    "{% for message in messages %}{% for part in message.content %}"
    "{{ image_mark if part.type == 'image' else part.text }}"
    "{% endfor %}{% endfor %}"
)
WORD = re.compile(r"[^\W\d_]{2,}")  # "1." and "e." are no sentences
SENTENCE_END = re.compile(r"[.!?][\"'”’)\]]*(?=\s)|[。！？]|(?=\n)")
THOUGHTS = (  # how templates write where a thought begins and ends
    ("<think>", "</think>"),  # Qwen, GLM, Kimi, MiniCPM
    ("<|channel>thought", "<channel|>"),  # Gemma 4
    ("[THINK]", "[/THINK]"),  # Mistral
)


class Chat:
    """A user's turn and the opening of the assistant's turn, as the checkpoint's template says.

    Arguments:
        processor: whose template and tokenizer.
        media: tokens that the model's configuration names for images and other media.
        chat_template: None for the checkpoint's own; "plain" for pictures, then the text alone.
        thinking: how many tokens the model may think before it answers; at 0 a thought that the
            template opens is closed at once.
    """

    def __init__(
        self,
        processor: Any,
        media: Collection[int] = (),
        chat_template: str | None = None,
        thinking: int = 0,
    ) -> None:
        self._processor, self._media = processor, media
        self._tokenizer = processor.tokenizer
        self._written: dict[tuple[int, int], list[int]] = {}
        if chat_template not in (None, "plain"):
            raise ModelError(
                "Expected model.chat_template to be null (the checkpoint's own) or 'plain', but "
                f"{chat_template!r} came; choose one of them."
            )
        given = processor.chat_template
        own = given.get("default") if isinstance(given, Mapping) else given  # several, by name
        self._template = str(PLAIN if chat_template else own)
        if chat_template is None and own is None:
            raise ModelError(
                "Expected the checkpoint to have a chat template (chat_template.jinja), but it has "
                "none; use an instruction-tuned checkpoint, add the template file to its folder, "
                "or set model.chat_template=plain if it wants pictures and then the text alone."
            )
        self.thinking = thinking
        counts = type(thinking) is int and thinking >= 0  # `true` is no number of tokens
        if not counts or (thinking and self.thought is None):
            raise ModelError(
                "Expected model.thinking to be 0, or the tokens that a thought may take in a model "
                f"whose chat template knows thoughts, but {thinking} came; set it to 0."
            )

    def render(self, prompt: Prompt) -> tuple[str, list[Image.Image]]:
        """Text with one image token per image, and the images in RGB, in the text's order.

        Images come first and then the text, except where the text says `<image:k>`: there stands
        image k, as often as it is mentioned.
        """
        mentioned = mentioned_images(prompt.text)
        if any(not 1 <= number <= len(prompt.images) for number in mentioned):
            raise PromptError(
                f"Expected <image:k> with k from 1 to {len(prompt.images)} in the text of "
                f"{prompt.uid!r}, but {sorted(set(mentioned))} came; give the prompt all the "
                "images that its text mentions.",
                prompt.uid,
            )
        text = self._apply([self.message(prompt)], opening=True)
        return text, [image.convert("RGB") for image in in_text_order(prompt.text, prompt.images)]

    def message(self, prompt: Prompt) -> dict[str, Any]:
        """The user's turn as templates take it, without the pictures themselves."""
        leading = len(prompt.images) - len({*mentioned_images(prompt.text)})
        return self._turn("user", with_images(prompt.text, self.image_text), images=leading)

    def turns(self, uid: str, message: Mapping[str, Any], ids: Sequence[int]) -> tuple[Span, ...]:
        """Which tokens of a prompt are the user's own words. Raises `PromptError` where unknown.

        Arguments:
            ids: the prompt as the model reads it, without padding.
        """
        render = partial(self._apply, opening=True)
        try:
            return written_tokens(self._tokenizer, render, [message], ids)
        except ValueError as error:
            raise PromptError(f"Who wrote what in {uid!r} is unknown. {error}", uid) from error

    def passages(
        self, text: str, passages: Sequence[str], ids: Sequence[int]
    ) -> tuple[Tokens, ...]:
        """Where parts of a rendered prompt stand among its tokens; nothing where that is unknown.

        Arguments:
            ids: the prompt as the model reads it, without padding.
        """
        try:
            return passage_tokens(self._tokenizer, text, passages, ids)
        except ValueError:
            return ()

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of rendered texts, opened once as the checkpoint opens a text."""
        if not texts:  # which a tokenizer refuses
            return []
        encoded = self._tokenizer(list(texts), add_special_tokens=self.adds_special_tokens)
        return encoded["input_ids"]

    def refuse_reserved(self, prompt: Prompt, ids: Sequence[int], tail: str = "") -> None:
        """Raise `PromptError` where a prompt's own text became one of the `reserved` tokens.

        It would end the user's turn, say. Refused, not read as plain text: that would take
        tokenising in pieces, and a tokenizer like Llama's begins every piece with a space. What
        counts is what it made of the whole: those that stand in the same prompt about a plain text
        are the template's.

        Arguments:
            ids: tokens of the rendered prompt.
            tail: what the processor itself wrote behind it.
        """
        mentioned = mentioned_images(prompt.text)
        alone = len(prompt.images) - len(set(mentioned))
        if (alone, len(mentioned)) not in self._written:
            turn = self._turn("user", _PROBE + self.image_text * len(mentioned), images=alone)
            (plain,) = self.tokens([self._apply([turn], opening=True) + tail])
            self._written[alone, len(mentioned)] = plain
        token = self._intruder(ids, self._written[alone, len(mentioned)], prompt.text)
        if token is not None:
            raise PromptError(
                f"Expected plain text in {prompt.uid!r}, but it contains the reserved token "
                f"{token!r}; place images with <image:k> or reword the text.",
                prompt.uid,
            )

    def answer_tokens(
        self, uid: str, prompt_text: str, prompt_ids: Sequence[int], answer: str
    ) -> list[int]:
        """Tokens of one answer after a rendered prompt, as `answers_tokens` gives them."""
        return self.answers_tokens([(uid, prompt_text, prompt_ids, answer)])[0]

    def answers_tokens(
        self, answers: Sequence[tuple[str, str, Sequence[int], str]]
    ) -> list[list[int]]:
        """Tokens of answers, terminator included; each with uid, text and tokens of its prompt.

        Prompt and answer are tokenised together, as in training. Where that would take the space
        with which some templates open an answer for a part of its first word, though the prompt has
        read it already, the word stands without a space. Raises `PromptError` if the prompt still
        changes, and where an answer's own text became one of the `reserved` tokens.
        """
        if not answers:
            return []
        joined = self.tokens([prompt + self.separator + answer for _, prompt, _, answer in answers])
        joined = [
            tokens
            if tokens[: len(ids)] == list(ids)
            else self._behind_space(prompt, ids, answer) or tokens
            for tokens, (_, prompt, ids, answer) in zip(joined, answers, strict=True)
        ]
        found = []
        for joint, (uid, _, prompt_ids, answer) in zip(joined, answers, strict=True):
            token = self._intruder(joint, prompt_ids, answer)
            if token is not None:
                raise PromptError(
                    f"Expected plain text in the answer {answer!r} to {uid!r}, but it contains the "
                    f"reserved token {token!r}; reword the answer.",
                    uid,
                )
            length = len(prompt_ids)
            if joint[:length] != list(prompt_ids):
                raise PromptError(
                    f"Expected the {length} tokens of the prompt {uid!r} to stay the same when the "
                    f"answer {answer!r} follows, but the tokenizer merges across the border "
                    f"(tokens {joint[length - 2 : length + 1]} instead of "
                    f"{list(prompt_ids[-2:])}); rephrase the answer or the end of the prompt.",
                    uid,
                )
            found.append([*joint[length:], self.terminator])
        return found

    def _behind_space(self, prompt: str, ids: Sequence[int], answer: str) -> list[int] | None:
        """The prompt's tokens and those of an answer as it reads where no space stands before it.

        None where the prompt does not end in one, or the tokenizer merges across the border.
        """
        stripped = prompt.rstrip()
        before, whole = self.tokens([stripped, stripped + answer])
        if stripped == prompt or whole[: len(before)] != before:
            return None
        return [*ids, *whole[len(before) :]]

    def decode(self, answers: Sequence[Sequence[int]]) -> list[str]:
        """Texts of generated answers, special tokens removed."""
        return self._tokenizer.batch_decode(answers, skip_special_tokens=True)

    @cached_property
    def reserved(self) -> frozenset[int]:
        """Tokens that only the template may write.

        The special ones, those that stand for images and videos, and those that the tokenizer
        takes for text but the template has a use for, as `<tool_call>` in some; never white space.
        All others, as HTML tags in some tokenizers, are text.
        """
        added = {
            token
            for token, entry in self._tokenizer.added_tokens_decoder.items()
            if entry.special or (entry.content in self._template and not entry.content.isspace())
        }
        media = self._tokenizer.convert_tokens_to_ids(self._processor.all_special_multimodal_tokens)
        known = {*added, *self._tokenizer.all_special_ids, *media, *self._media}
        return frozenset(token for token in known if token is not None)

    @cached_property
    def adds_special_tokens(self) -> bool:
        """Whether the tokenizer must add its opening token, because the template does not."""
        opening = self._tokenizer.bos_token
        text = self._apply([self._turn("user", _PROBE)], opening=True)
        return opening is None or not text.startswith(opening)

    @cached_property
    def image_text(self) -> str:
        """What the template writes for one image, for use inside a text."""
        without = self._apply([self._turn("user", _PROBE)], opening=False)
        with_one = self._apply([self._turn("user", _PROBE, images=1)], opening=False)
        start = _alike(with_one, without)  # not by length: some write a space only without images
        end = len(with_one) - _alike(with_one[start:][::-1], without[start:][::-1])
        written = with_one[start:end]
        if not written:
            raise ModelError(
                "Expected the checkpoint's chat template to write something for an image, but it "
                "writes nothing; use a checkpoint whose template knows images."
            )
        return written

    @cached_property
    def image_marks(self) -> frozenset[int]:
        """Tokens of `image_text` that are no text."""
        tokens = self._tokenizer(self.image_text, add_special_tokens=False)["input_ids"]
        return self.reserved.intersection(tokens)

    @cached_property
    def thought(self) -> tuple[str, str] | None:
        """What the template writes where a thought begins and ends, None if it knows none."""
        known = (pair for pair in THOUGHTS if any(mark in self._template for mark in pair))
        return next(known, None)

    @cached_property
    def how_it_thinks(self) -> Thinking | None:
        """What the model must know to think before it answers; None where it must not."""
        if not self.thinking or self.thought is None:
            return None
        begin, end = self.thought
        opening = self._apply([self._turn("user", _PROBE)], opening=True)
        opened = begin in opening and end not in opening[opening.rindex(begin) :]
        tokens = (
            tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])
            for text in (begin, end, f"\n{end}\n\n")
        )
        first, last, cut = tokens
        if not opened and len(first) > 1:
            raise ModelError(
                f"Expected model.thinking=0 where the model itself opens a thought with {begin!r}, "
                f"which this tokenizer reads as {len(first)} tokens of text, but {self.thinking} "
                "came: an answer that begins alike could not be told from a thought; set it to 0."
            )
        return Thinking(
            budget=self.thinking,
            opened=opened,
            begin=first,
            end=last,
            ends=lambda said: end in self.text_of(said),
            cut=cut,
        )

    def first_sentence(self, said: Speaker) -> list[int]:
        """What was read up to the end of an answer's first sentence: a full stop, question or
        exclamation mark behind words and before white space, or the end of a line. All of it where
        it has none.
        """
        (text,) = self.decode([said.answer])
        ended = SENTENCE_END.search(text, WORD.search(text).end() if WORD.search(text) else 0)
        if ended is None:
            return [*said.opening, *said.answer]
        whole = text[: ended.end()].rstrip()
        sizes = range(1, len(said.answer) + 1)
        texts = ((size, self.decode([said.answer[:size]])[0]) for size in sizes)
        size = next(size for size, part in texts if len(part.rstrip()) >= len(whole))
        return [*said.opening, *said.answer[:size]]

    def response(self, said: Speaker) -> Response:
        """What was said as texts, special tokens removed."""
        (answer,) = self.decode([said.answer])
        if said.thinking is None:
            return Response(answer=answer, thought=None, thought_tokens=None, cut=said.cut)
        opening = len(said.thinking.begin)
        opened = tuple(said.thought[:opening]) == said.thinking.begin  # by the model itself
        thoughts = said.thought[opening:] if opened else said.thought
        (thought,) = self.decode([thoughts])
        return Response(
            answer=answer.strip(),
            thought=thought.strip(),
            thought_tokens=len(thoughts),
            cut=said.cut,
        )

    @cached_property
    def separator(self) -> str:
        """White space that the template puts between the assistant's opening and the answer."""
        opening, answered = self._answered_turn()
        if not answered.startswith(opening):
            return ""
        between = answered[len(opening) : answered.rindex(_PROBE)]
        return between if between.isspace() else ""

    @cached_property
    def terminator(self) -> int:
        """Token that ends an answer: the template's first special token after it, else `eos`.

        Some templates end it with the opening of the next turn.
        """
        _, answered = self._answered_turn()
        user, again = self._turn("user", "?"), self._turn("assistant", _PROBE)
        followed = self._apply([user, again, user], opening=False)
        added = self._tokenizer.added_tokens_decoder
        for text in (answered, followed):
            tail = text[text.rindex(_PROBE) + 1 :]
            tokens = self._tokenizer(tail, add_special_tokens=False)["input_ids"]
            special = [token for token in tokens if token in added and added[token].special]
            if special:
                return special[0]
        return self._tokenizer.eos_token_id

    def text_of(self, tokens: Sequence[int]) -> str:
        """Tokens as text, special ones included."""
        return self._tokenizer.decode(tokens, skip_special_tokens=False)

    def _answered_turn(self) -> tuple[str, str]:
        user = self._turn("user", "?")
        whole = self._apply([user, self._turn("assistant", _PROBE)], opening=False)
        return self._apply([user], opening=True), whole

    def _turn(self, role: str, text: str, images: int = 0) -> dict[str, Any]:
        part = {"type": "text", "text": text, "content": text}  # as Pixtral's first template has it
        return {"role": role, "content": [{"type": "image"}] * images + [part]}

    def _apply(self, turns: list[dict[str, Any]], *, opening: bool) -> str:
        text = self._rendered(turns, opening=opening)
        return text + self._closing if opening and not self.thinking else text

    def _rendered(self, turns: list[dict[str, Any]], *, opening: bool) -> str:
        settings: dict[str, Any] = {}
        if "enable_thinking" in self._template:
            settings["enable_thinking"] = self.thinking > 0
        if self._template == PLAIN:
            settings["image_mark"] = self._image_mark()
        write = partial(
            self._processor.apply_chat_template,
            chat_template=self._template,
            tokenize=False,
            add_generation_prompt=opening,
            **settings,
        )
        try:
            return write(turns)
        except TypeError:  # of a template that takes an answer as a text, not as a list of parts
            return write([_with_plain_answer(turn) for turn in turns])

    @cached_property
    def _closing(self) -> str:
        """What ends a thought that the template opens, as such models are trained on it.

        Seen behind a text without such marks: a user may write them, too.
        """
        begin, end = self.thought or ("", "")
        text = self._rendered([self._turn("user", _PROBE)], opening=True)
        if not begin or begin not in text or end in text[text.rindex(begin) :]:
            return ""
        line = "\n" if text.endswith("\n") else ""
        return f"{line}{end}\n{line}"

    def _image_mark(self) -> str:
        """What a prompt without a template says where a picture stands."""
        return getattr(self._processor, "image_token", None) or self._tokenizer.image_token

    def _intruder(self, ids: Sequence[int], plain: Sequence[int], text: str) -> str | None:
        """The first reserved token that a text brought into a rendered prompt, as it is written.

        Arguments:
            plain: tokens without that text, of which only the reserved ones count.
            text: the text; a character that the tokenizer does not know is no intruder.
        """
        unknown = self._tokenizer.unk_token
        counted = self.reserved
        if unknown is not None and unknown not in text:
            counted = counted - {self._tokenizer.unk_token_id}
        pairs = zip_longest(
            (token for token in ids if token in counted),
            (token for token in plain if token in counted),
        )
        for came, expected in pairs:
            if came != expected:
                return self._tokenizer.convert_ids_to_tokens(expected if came is None else came)
        return None


def _alike(one: str, other: str) -> int:
    """Length of what two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def _with_plain_answer(turn: dict[str, Any]) -> dict[str, Any]:
    return turn if turn["role"] == "user" else turn | {"content": turn["content"][0]["text"]}
