"""Tokenizer and processor of `tiny`: byte-level BPE, ChatML, left padding, PIL images."""

from __future__ import annotations

from random import Random

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlavaProcessor, PreTrainedTokenizerFast
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from solvent.benchmarks.shapes.drawing import SIDE
from solvent.benchmarks.shapes.questions import ASKERS
from solvent.benchmarks.shapes.world import draw_scene

PATCH = 8  # pixels
PAD, START, END, IMAGE = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>"
VOCABULARY = 768
CORPUS_SCENES = 3000
# Words that users' own prompts are likely to hold; every other word falls back to bytes.
PROMPT_WORDS = (
    "You are a helpful assistant. Question: Options: Answer: A B C D E F G H 0 1 2 3 4 5 6 7 8 9 "
    "Answer with the option's letter from the given choices directly. Answer yes or no. "
    "Please answer the question using a single word or phrase. What is shown in this picture? "
    "Is this statement true or false about the image? Describe the image. There is box grey black "
    "tower block touching wall edge corner exactly least at one two three four object objects items"
)
SPLIT = r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% elif part['type'] == 'text' %}{{ part['text'] }}"
    "{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _corpus() -> list[str]:
    rng = Random("tokenizer")
    lines = [PROMPT_WORDS] * 50
    for _ in range(CORPUS_SCENES):
        scene = draw_scene(rng, "balanced")
        for ask in ASKERS.values():
            if question := ask(rng, scene):
                lines += [f"user\n{question.text}", "assistant\n", *question.options]
                lines += [f" {option}" for option in question.options]
    return lines


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Train the tokenizer on questions of the world; the same on every machine."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, START, END, IMAGE],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[START, IMAGE],
        padding_side="left",
        model_max_length=1024,
        clean_up_tokenization_spaces=False,
    )


def build_processor() -> LlavaProcessor:
    """Tokenizer, chat template and a 64 x 64 image processor."""
    images = SiglipImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=build_tokenizer(),
        patch_size=PATCH,
        vision_feature_select_strategy="full",
        chat_template=TEMPLATE,
        image_token=IMAGE,
        num_additional_image_tokens=0,
    )
