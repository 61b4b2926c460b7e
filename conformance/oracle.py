"""What a checkpoint folder must answer, by plain transformers alone: no code of `solvent` is used.

One prompt at a time, without padding or cache; the model finds its positions by itself, features
come from pixels, and log-probabilities are computed by hand.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

from conformance.tiny_inputs import PER_TOKEN

PIXTRAL = "transformers.models.pixtral.image_processing_{}pixtral"
WITHOUT_VIDEOS = {"SmolVLMProcessor": "Idefics3Processor"}  # the same for pictures
FLAT = ("got_ocr2",)  # want all pictures of a batch in one list
MORE = (*PER_TOKEN, "moe_mm_token_type_ids")  # arguments with an entry per token
AFTER = {"attention_mask": 1}  # what they are for the tokens of an answer, if not 0
AFTER_PALIGEMMA = {"attention_mask": 1, "token_type_ids": 1}  # an answer is read causally

Pictures = Sequence[Image.Image]


class Missing:
    """In the place of a part that is for videos or sound."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


class Oracle:
    """The checkpoint's own model, tokenizer and processor."""

    def __init__(self, folder: Path, backend: str) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self.processor = plain_processor(folder, self.tokenizer, backend)
        self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
        self.model.eval().requires_grad_(False)
        self.family = self.model.config.model_type
        self.ends = set(self.model.generation_config.eos_token_id)

    def prompt(self, text: str, pictures: int) -> str:
        """One user turn, pictures first, and what opens the answer; or the bare text after them."""
        if self.tokenizer.chat_template is None:
            return self.processor.image_token * pictures + text
        content: list[dict[str, str]] = [{"type": "image"}] * pictures
        turn = {"role": "user", "content": [*content, {"type": "text", "text": text}]}
        return self.tokenizer.apply_chat_template(
            [turn], tokenize=False, add_generation_prompt=True, enable_thinking=False
        )

    def inputs(self, texts: Sequence[str], pictures: Sequence[Pictures]) -> dict[str, Tensor]:
        """Arguments of forward. Without any picture, the processor is given text alone."""
        accepted = inspect.signature(self.model.forward).parameters
        opened = self.tokenizer.bos_token is not None and texts[0].startswith(
            self.tokenizer.bos_token
        )
        asked: dict[str, Any] = {
            "text": list(texts),
            "padding": True,
            "return_tensors": "pt",
        }
        if opened:  # else the processor's or tokenizer's own habit counts
            asked["add_special_tokens"] = False
        if any(pictures):
            flat = [picture for each in pictures for picture in each]
            asked["images"] = flat if self.family in FLAT else [list(each) for each in pictures]
        if "mm_token_type_ids" in accepted:
            asked["return_mm_token_type_ids"] = True
        try:
            encoded = self.processor(**asked)
        except ValueError:
            if any(pictures):
                raise
            encoded = self._text_alone(texts)
        return {
            name: torch.as_tensor(value)
            for name, value in encoded.items()
            if name in accepted and name != "labels" and (any(pictures) or name in MORE)
        }

    def _text_alone(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """For processors that want a picture: what they do to text, without one."""
        if self.family == "paligemma":
            texts = [f"{self.tokenizer.bos_token}{text}\n" for text in texts]
        encoded = self.tokenizer(list(texts), padding=True, return_tensors="pt")
        return {"token_type_ids": torch.zeros_like(encoded["input_ids"]), **encoded}

    def logits(
        self, inputs: dict[str, Tensor], answer: Sequence[int]
    ) -> Float[Tensor, "token vocabulary"]:
        """Of the token after the prompt and after each token of an answer but the last."""
        after = AFTER_PALIGEMMA if self.family == "paligemma" else AFTER
        whole = dict(inputs)
        for name in MORE:
            if name in whole:
                fill = after.get(name, 0)
                new = answer if name == "input_ids" else [fill] * len(answer)
                added = torch.tensor([list(new)], dtype=whole[name].dtype)
                whole[name] = torch.cat([whole[name], added.reshape(1, -1)], dim=1)
        self._forget()
        with torch.no_grad():
            logits = self.model(**whole, use_cache=False).logits[0].float()
        start = inputs["input_ids"].shape[1] - 1
        return logits[start : start + max(1, len(answer))]

    def score(self, inputs: dict[str, Tensor], answer: Sequence[int]) -> float:
        """Summed log-probability of an answer: logit minus logarithm of the sum of exponentials."""
        logits = self.logits(inputs, answer).double()
        chosen = logits[torch.arange(len(answer)), torch.tensor(answer)]
        return float((chosen - logits.logsumexp(dim=-1)).sum())

    def greedy(self, inputs: dict[str, Tensor], tokens: int) -> list[list[int]]:
        """What transformers' own `generate` answers, up to the end of a turn, row by row."""
        self._forget()
        with torch.no_grad():
            whole = self.model.generate(**inputs, do_sample=False, max_new_tokens=tokens)
        answers = []
        for row in whole[:, inputs["input_ids"].shape[1] :].tolist():
            end = next((place for place, token in enumerate(row) if token in self.ends), None)
            answers.append(row[:end])
        return answers

    def decode(self, answers: Sequence[Sequence[int]]) -> list[str]:
        return self.tokenizer.batch_decode(answers, skip_special_tokens=True)

    def _forget(self) -> None:
        """Some models remember how far the positions of the last prompt were shifted."""
        for module in self.model.modules():
            if getattr(module, "rope_deltas", None) is not None:
                module.rope_deltas = None


def plain_processor(folder: Path, tokenizer: Any, backend: str) -> Any:
    """The folder's processor; parts for videos and sound, which may need torchvision, stay out."""
    settings = json.loads((folder / "processor_config.json").read_text(encoding="utf-8"))
    name = settings.pop("processor_class")
    name = WITHOUT_VIDEOS.get(name, name)
    if backend == "pil":
        pil = importlib.import_module(PIXTRAL.format("pil_"))  # the same functions, without
        sys.modules.setdefault(PIXTRAL.format(""), pil)  # torchvision at the top of the module
    base = getattr(transformers, name)
    if getattr(base, "is_dummy", False) or not hasattr(base, "get_attributes"):
        base = getattr(importlib.import_module(base.__module__), name)
    images = AutoImageProcessor.from_pretrained(folder, backend=backend)
    parts = {"image_processor": images, "tokenizer": tokenizer}
    lenient = type(name, (base,), {"check_argument_for_proper_class": lambda *_: None})
    given = {part: parts.get(part) or Missing() for part in base.get_attributes()}
    return lenient(**given, **settings)
