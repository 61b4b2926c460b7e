"""What a checkpoint's chat template makes of a prompt, and the tokens of an answer after it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import zip_longest
from typing import Any

from PIL import Image

from solvent.core.image_places import mentioned_images, with_images
from solvent.core.types import Prompt
from solvent.models.refusals import ModelError, PromptError

_PROBE = "0"  # a text that no template changes or contains


class Chat:
    """A user's turn and the opening of the assistant's turn, as the checkpoint's template says."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self._tokenizer = processor.tokenizer
        self._written: dict[tuple[int, int], list[int]] = {}
        if processor.chat_template is None:
            raise ModelError(
                "Expected the checkpoint to have a chat template (chat_template.jinja), but it "
                "has none; use an instruction-tuned checkpoint or add the template file to its "
                "folder."
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
        numbered = enumerate(prompt.images, 1)
        leading = [image for number, image in numbered if number not in mentioned]
        text = with_images(prompt.text, self.image_text)
        images = leading + [prompt.images[number - 1] for number in mentioned]
        turn = self._turn("user", text, images=len(leading))
        return self._apply([turn], opening=True), [image.convert("RGB") for image in images]

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of rendered texts, opened once as the checkpoint opens a text."""
        encoded = self._tokenizer(list(texts), add_special_tokens=self.adds_special_tokens)
        return encoded["input_ids"]

    def refuse_reserved(self, prompt: Prompt, ids: Sequence[int]) -> None:
        """Raise `PromptError` where a prompt's own text became one of the `reserved` tokens.

        It would end the user's turn, say. Refused, not read as plain text: that would take
        tokenising in pieces, and a tokenizer like Llama's begins every piece with a space. What
        counts is what it made of the whole: those that stand in the same prompt about a plain text
        are the template's.

        Arguments:
            ids: tokens of the rendered prompt.
        """
        mentioned = mentioned_images(prompt.text)
        alone = len(prompt.images) - len(set(mentioned))
        if (alone, len(mentioned)) not in self._written:
            turn = self._turn("user", _PROBE + self.image_text * len(mentioned), images=alone)
            (plain,) = self.tokens([self._apply([turn], opening=True)])
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

        Prompt and answer are tokenised together, as in training. Raises `PromptError` if that
        changes the prompt, and where an answer's own text became one of the `reserved` tokens.
        """
        if not answers:
            return []
        joined = self.tokens([prompt + self.separator + answer for _, prompt, _, answer in answers])
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
        template = str(self._processor.chat_template)
        added = {
            token
            for token, entry in self._tokenizer.added_tokens_decoder.items()
            if entry.special or (entry.content in template and not entry.content.isspace())
        }
        media = self._tokenizer.convert_tokens_to_ids(self._processor.all_special_multimodal_tokens)
        return frozenset({*added, *self._tokenizer.all_special_ids, *media})

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
        pairs = enumerate(zip(with_one, without, strict=False))
        start = next(place for place, (one, other) in pairs if one != other)
        return with_one[start : start + len(with_one) - len(without)]

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
        """Token that ends an answer: the template's first special token after it, else `eos`."""
        _, answered = self._answered_turn()
        tail = answered[answered.rindex(_PROBE) + 1 :]
        tokens = self._tokenizer(tail, add_special_tokens=False)["input_ids"]
        added = self._tokenizer.added_tokens_decoder
        special = [token for token in tokens if token in added and added[token].special]
        return special[0] if special else self._tokenizer.eos_token_id

    def _answered_turn(self) -> tuple[str, str]:
        user = self._turn("user", "?")
        whole = self._apply([user, self._turn("assistant", _PROBE)], opening=False)
        return self._apply([user], opening=True), whole

    def _turn(self, role: str, text: str, images: int = 0) -> dict[str, Any]:
        content = [{"type": "image"}] * images + [{"type": "text", "text": text}]
        return {"role": role, "content": content}

    def _apply(self, turns: list[dict[str, Any]], *, opening: bool) -> str:
        return self._processor.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=opening
        )

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
