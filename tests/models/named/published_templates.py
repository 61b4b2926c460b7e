"""The fixtures of `templates`: what a chat template makes of a question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, ProcessorMixin

from tests.conftest import ROOT

ONE, SEVERAL, ANSWER, AGAIN = "What is it?", "Same colour?", "A cat.", "Sure?"


@dataclass(frozen=True, kw_only=True)
class Published:
    """One entry; tests/models/named/templates/README.md says what its parts are."""

    name: str
    models: tuple[str, ...]
    image: str
    bos: str | None
    eos: str
    special: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    template: str | None
    one: str
    several: str
    turns: str | None
    thinking: str | None = None
    ends: str

    def processor(self) -> Words:
        """Has the template, and a tokenizer of bytes with the family's special tokens."""
        made = Words(tokenizer=self.tokenizer(), chat_template=self.template)
        made.image_token = self.image
        return made

    def tokenizer(self) -> PreTrainedTokenizerFast:
        """One token for a byte, and one for each of the family's own; opens a text with `bos`."""
        letters = sorted(pre_tokenizers.ByteLevel.alphabet())
        made = Tokenizer(models.BPE(vocab={each: k for k, each in enumerate(letters)}, merges=[]))
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        made.decoder = decoders.ByteLevel()
        special = dict.fromkeys((self.bos, self.eos, self.image, "<pad>", *self.special))
        made.add_special_tokens([_token(each, special=True) for each in special if each])
        made.add_tokens([_token(each, special=False) for each in self.added])
        if self.bos is not None:
            made.post_processor = processors.TemplateProcessing(
                single=f"{self.bos} $A", special_tokens=[(self.bos, made.token_to_id(self.bos))]
            )
        return PreTrainedTokenizerFast(
            tokenizer_object=made,
            bos_token=self.bos,
            eos_token=self.eos,
            pad_token="<pad>",
            padding_side="left",
        )


class Words(ProcessorMixin):
    """A processor that has no eyes: transformers' own, as far as text goes."""

    def __init__(self, tokenizer: Any = None, chat_template: str | None = None) -> None:
        super().__init__(tokenizer, chat_template=chat_template)


def load_published() -> dict[str, Published]:
    """All entries, by name."""
    found: dict[str, Published] = {}
    for file in sorted((ROOT / "tests/models/named/templates").glob("*.yaml")):
        for name, entry in yaml.safe_load(file.read_text(encoding="utf-8")).items():
            lists = {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
            found[name] = Published(name=name, **entry | lists)
    return found


def question(text: str, images: int) -> dict[str, Any]:
    """A user's turn, pictures first."""
    return {
        "role": "user",
        "content": [{"type": "image"}] * images + [{"type": "text", "text": text}],
    }


def conversation() -> list[dict[str, Any]]:
    """A picture, a question, its answer, and another question."""
    answer = {"role": "assistant", "content": [{"type": "text", "text": ANSWER}]}
    return [question(ONE, 1), answer, question(AGAIN, 0)]


def _token(text: str, *, special: bool) -> AddedToken:
    return AddedToken(text, special=special, normalized=False)
