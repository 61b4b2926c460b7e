"""What a model must answer, computed the plain way: one sequence at a time, no padding, no cache.

Nothing of `models` is used: prompts are written out by hand, pixels come from transformers' image
processors, and positions are inferred by the model itself.
"""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoImageProcessor, AutoTokenizer

from tests.random_models import IDS, random_model

PLACEHOLDERS = {
    "llava": "<image>\n",
    "llava_onevision": "<image>",
    "qwen2_5_vl": "<|vision_start|><|image_pad|><|vision_end|>",
}
PROMPTS = {  # of the user's text, and of the answer that follows
    "llava": "USER: {} ASSISTANT:",
    "llava_onevision": "<|im_start|>user {}<|im_end|><|im_start|>assistant\n",
    "qwen2_5_vl": "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n",
}
BETWEEN = {"llava": " ", "llava_onevision": "", "qwen2_5_vl": ""}
TERMINATORS = {"llava": "</s>", "llava_onevision": "<|im_end|>", "qwen2_5_vl": "<|im_end|>"}
IMAGE_TOKENS = {"llava": "<image>", "llava_onevision": "<image>", "qwen2_5_vl": "<|image_pad|>"}


class Reference:
    def __init__(self, family: str, folder: Path) -> None:
        self.family = family
        self.model = random_model(family)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.images = AutoImageProcessor.from_pretrained(folder, backend="pil")
        self.terminator = IDS[TERMINATORS[family]]

    def ids(self, text: str, pictures: list[Image.Image]) -> list[int]:
        """Token ids of a whole text, each image token repeated as often as it has features."""
        counts, image = self._counts(pictures), IDS[IMAGE_TOKENS[self.family]]
        repeated = []
        for token in self.tokenizer(text)["input_ids"]:
            repeated += [token] * (counts.pop(0) if token == image else 1)
        assert not counts
        return repeated

    def logits(self, ids: list[int], pictures: list[Image.Image]) -> Tensor:
        row = torch.tensor([ids])
        inputs = {"input_ids": row, "attention_mask": torch.ones_like(row)}
        if pictures:
            inputs |= self.images([pictures], return_tensors="pt")
        if self.family == "qwen2_5_vl":
            inputs["mm_token_type_ids"] = (row == IDS["<|image_pad|>"]).int()
        self.model.base_model.rope_deltas = None  # Qwen remembers the last call
        with torch.no_grad():
            return self.model(**inputs).logits[0].float()

    def score(self, text: str, pictures: list[Image.Image], answer: str) -> tuple[float, int]:
        """Summed log-probability and number of an answer's tokens, terminator included."""
        text = PROMPTS[self.family].format(text)
        prompt = self.ids(text, pictures)
        whole = [*self.ids(text + BETWEEN[self.family] + answer, pictures), self.terminator]
        assert whole[: len(prompt)] == prompt
        scores = self.logits(whole, pictures).log_softmax(dim=-1)
        places = range(len(prompt), len(whole))
        return sum(scores[i - 1, whole[i]].item() for i in places), len(places)

    def greedy(
        self, text: str, pictures: list[Image.Image], limit: int, stops: tuple[int, ...] = ()
    ) -> list[int]:
        ids = self.ids(PROMPTS[self.family].format(text), pictures)
        new: list[int] = []
        for _ in range(limit):
            token = self.logits(ids + new, pictures)[-1].argmax().item()
            if token in (self.terminator, *stops):
                break
            new.append(token)
        return new

    def _counts(self, pictures: list[Image.Image]) -> list[int]:
        if self.family == "llava":
            return [4 for _ in pictures]
        if self.family == "llava_onevision":  # one 16 x 16 image: base, one tile, two newlines
            return [10] if len(pictures) == 1 else [5 for _ in pictures]
        return [(picture.width // 8) * (picture.height // 8) for picture in pictures]
