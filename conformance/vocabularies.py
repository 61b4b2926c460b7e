"""Special tokens of every family's tokenizer, and what its chat template writes: data.

Names are those by which a tokenizer, and a configuration with `_id` or `_index` behind, know a
token. What a family's own format of turns is not known of is written as ChatML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from conformance.turns import (
    CHATML,
    COHERE,
    DEEPSEEK,
    ERNIE,
    GEMMA,
    GEMMA_4,
    GLM,
    IDEFICS_2,
    JANUS,
    KIMI,
    MISTRAL,
    PALIGEMMA,
    SMOL,
    UTTERANCES,
    VICUNA,
    Turns,
    chatml,
)


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """What the tokenizer and the template of a family write for pictures."""

    image: str  # the token that an image feature replaces
    placeholder: str = ""  # what the template writes for a picture; empty: the same
    named: Mapping[str, str] = field(default_factory=dict)  # other names of tokens
    others: tuple[str, ...] = ()  # special tokens without a name
    known_to_tokenizer: bool = True  # whether the tokenizer has the names as attributes
    turns: Turns = CHATML


def cells(form: str, rows: int) -> tuple[str, ...]:
    """Tokens that say where in a picture a tile lies."""
    places = [(row, column) for row in range(1, rows + 1) for column in range(1, rows + 1)]
    return tuple(form.format(row, column) for row, column in places)


QWEN = Vocabulary(
    image="<|image_pad|>",
    placeholder="<|vision_start|><|image_pad|><|vision_end|>",
    named={
        "video_token": "<|video_pad|>",
        "vision_start_token": "<|vision_start|>",
        "vision_end_token": "<|vision_end|>",
    },
    known_to_tokenizer=False,
)
QWEN_THINKS = replace(QWEN, turns=chatml(thinks=True))
OMNI_2_5 = Vocabulary(
    image="<|IMAGE|>",
    placeholder="<|vision_bos|><|IMAGE|><|vision_eos|>",
    named={
        "video_token": "<|VIDEO|>",
        "audio_token": "<|AUDIO|>",
        "vision_bos_token": "<|vision_bos|>",
        "vision_eos_token": "<|vision_eos|>",
        "vision_start_token": "<|vision_bos|>",
        "vision_end_token": "<|vision_eos|>",
        "audio_bos_token": "<|audio_bos|>",
        "audio_eos_token": "<|audio_eos|>",
    },
)
OMNI_3 = replace(
    QWEN,
    named={
        **QWEN.named,
        "audio_token": "<|audio_pad|>",
        "vision_bos_token": "<|vision_start|>",
        "vision_eos_token": "<|vision_end|>",
        "audio_bos_token": "<|audio_start|>",
        "audio_eos_token": "<|audio_end|>",
    },
    known_to_tokenizer=True,
)
GLM_V = Vocabulary(
    image="<|image|>",
    placeholder="<|begin_of_image|><|image|><|end_of_image|>",
    named={
        "video_token": "<|video|>",
        "image_start_token": "<|begin_of_image|>",
        "image_end_token": "<|end_of_image|>",
        "video_start_token": "<|begin_of_video|>",
        "video_end_token": "<|end_of_video|>",
    },
    known_to_tokenizer=False,
    turns=GLM,
)
IMAGE = Vocabulary(
    image="<image>",
    placeholder="<image>\n",
    named={"video_token": "<video>"},
    turns=VICUNA,
)
IDEFICS = Vocabulary(
    image="<image>",
    others=("<fake_token_around_image>", "<global-img>", *cells("<row_{}_col_{}>", 6)),
    known_to_tokenizer=False,
    turns=UTTERANCES,
)
GEMMA_3 = Vocabulary(
    image="<image_soft_token>",
    placeholder="<start_of_image>",
    named={"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>"},
    turns=GEMMA,
)
GEMMA_4V = Vocabulary(
    image="<|image|>",
    named={
        "boi_token": "<|image>",
        "eoi_token": "<image|>",
        "boa_token": "<|audio>",
        "audio_token": "<|audio|>",
        "eoa_token": "<audio|>",
    },
    turns=GEMMA_4,
)
MINICPM = Vocabulary(
    image="<|image_pad|>",
    placeholder="<|image_pad|>\n",
    named={
        "video_token": "<|video_pad|>",
        "image_start_token": "<image>",
        "image_end_token": "</image>",
        "slice_start_token": "<slice>",
        "slice_end_token": "</slice>",
        "image_id_start_token": "<image_id>",
        "image_id_end_token": "</image_id>",
    },
)
INTERN = Vocabulary(
    image="<IMG_CONTEXT>",
    placeholder="<IMG_CONTEXT>\n",
    named={
        "context_image_token": "<IMG_CONTEXT>",
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "video_token": "<video>",
    },
)
MUSE = Vocabulary(
    image="<|patch|>",
    named={"video_token": "<|video|>", "audio_token": "<|audio|>"},
    others=(
        *("<|image_start|>", "<|image_end|>", "<|vid_frame_separator|>", "<|vid_start|>"),
        "<|vid_end|>",
    ),
    known_to_tokenizer=False,
)
DEEPSEEK_VL = Vocabulary(image="<image_placeholder>", turns=DEEPSEEK)
GOT = Vocabulary(
    image="<imgpad>",
    placeholder="<img><imgpad></img>\n",
    others=("<img>", "</img>"),
    known_to_tokenizer=False,
)

VOCABULARIES: Mapping[str, Vocabulary] = {
    "apertus1p5": Vocabulary(
        image="<|image|>",
        named={
            "audio_token": "<|audio|>",
            "boi_token": "<|image start|>",
            "eoi_token": "<|image end|>",
            "image_wrapper_token": "<|image token|>",
            "eol_token": "<|extra_200|>",
            "boa_token": "<|audio start|>",
            "eoa_token": "<|audio end|>",
        },
    ),
    "aria": Vocabulary(
        image="<|img|>",
        placeholder="<fim_prefix><|img|><fim_suffix>",
        others=("<fim_prefix>", "<fim_suffix>"),
    ),
    "aya_vision": Vocabulary(
        image="<|IMG_PATCH|>",
        placeholder="<image>",
        others=(
            *("<image>", "<|START_OF_IMG|>", "<|END_OF_IMG|>", "<|IMG_LINE_BREAK|>"),
            *("TILE", "TILE_GLOBAL", *(f"TILE_{number}" for number in range(1, 13))),
        ),
        known_to_tokenizer=False,
        turns=COHERE,
    ),
    "chameleon": Vocabulary(
        image="<image>",
        named={"boi_token": "<racm3:break>", "eoi_token": "<eoss>", "sep_token": "<sep>"},
        turns=VICUNA,
    ),
    "cohere2_vision": Vocabulary(
        image="<|IMG_PATCH|>",
        named={
            "boi_token": "<|START_OF_IMG|>",
            "eoi_token": "<|END_OF_IMG|>",
            "img_line_break_token": "<|IMG_LINE_BREAK|>",
        },
        turns=COHERE,
    ),
    "cohere_compass": Vocabulary(
        image="<|IMAGE_PAD|>",
        placeholder="<|VISION_START|><|IMAGE_PAD|><|VISION_END|>",
        named={
            "video_token": "<|VIDEO_PAD|>",
            "vision_start_token": "<|VISION_START|>",
            "vision_end_token": "<|VISION_END|>",
        },
        known_to_tokenizer=False,
        turns=COHERE,
    ),
    "cosmos3_edge": QWEN,
    "cosmos3_omni": QWEN,
    "deepseek_vl": DEEPSEEK_VL,
    "deepseek_vl_hybrid": DEEPSEEK_VL,
    "emu3": Vocabulary(
        image="<image>",
        named={
            "boi_token": "<|image start|>",
            "eoi_token": "<|image end|>",
            "image_wrapper_token": "<|image token|>",
            "eof_token": "<|extra_201|>",
        },
        others=("<|extra_200|>",),
        turns=VICUNA,
    ),
    "ernie4_5_vl_moe": Vocabulary(
        image="<|IMAGE_PLACEHOLDER|>",
        placeholder="<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>",
        named={
            "image_start_token": "<|IMAGE_START|>",
            "image_end_token": "<|IMAGE_END|>",
            "video_token": "<|VIDEO_PLACEHOLDER|>",
            "video_start_token": "<|VIDEO_START|>",
            "video_end_token": "<|VIDEO_END|>",
        },
        turns=ERNIE,
    ),
    "exaone4_5": QWEN,
    "fuyu": Vocabulary(
        image="|SPEAKER|",
        others=("|NEWLINE|", "<0x04>"),
        known_to_tokenizer=False,
        turns=VICUNA,
    ),
    "gemma3": GEMMA_3,
    "gemma4": GEMMA_4V,
    "gemma4_unified": GEMMA_4V,
    "glm46v": GLM_V,
    "glm4v": GLM_V,
    "glm4v_moe": GLM_V,
    "glm_ocr": GLM_V,
    "glmga": GLM_V,
    "got_ocr2": GOT,
    "granite_docling": replace(IDEFICS, known_to_tokenizer=True, turns=CHATML),
    "hunyuan_vl": Vocabulary(
        image="<img>",
        placeholder="<imgs><img><img_end>",
        named={"image_start_token": "<imgs>", "image_end_token": "<img_end>"},
    ),
    "hyperclovax_vision_v2": QWEN,
    "idefics2": Vocabulary(
        image="<image>",
        others=("<fake_token_around_image>",),
        known_to_tokenizer=False,
        turns=IDEFICS_2,
    ),
    "idefics3": IDEFICS,
    "internvl": INTERN,
    "janus": Vocabulary(
        image="<image_placeholder>",
        placeholder="<image_placeholder>\n",
        named={"boi_token": "<begin_of_image>", "eoi_token": "<end_of_image>"},
        turns=JANUS,
    ),
    "kimi_k25": Vocabulary(
        image="<|media_pad|>",
        placeholder="<|media_begin|>image<|media_content|><|media_pad|><|media_end|>",
        named={"video_token": "<|kimi_k25_video_placeholder|>"},
        others=("<|media_begin|>", "<|media_content|>", "<|media_end|>"),
        known_to_tokenizer=False,
        turns=KIMI,
    ),
    "lfm2_vl": Vocabulary(
        image="<image>",
        others=(
            *("<|image_start|>", "<|image_end|>", "<|img_thumbnail|>"),
            *cells("<|img_row_{}_col_{}|>", 10),
        ),
        known_to_tokenizer=False,
    ),
    "lfm3_vl": QWEN,
    "lighton_ocr": Vocabulary(
        image="<|image_pad|>",
        named={"image_break_token": "<|vision_pad|>", "image_end_token": "<|vision_end|>"},
    ),
    "llava": IMAGE,
    "llava_next": replace(IMAGE, turns=MISTRAL),
    "llava_next_video": IMAGE,
    "llava_onevision": replace(IMAGE, turns=CHATML),
    "minicpm_ocr": MINICPM,
    "minicpmv4_6": MINICPM,
    "minicpmv4_7": MINICPM,
    "mistral3": Vocabulary(
        image="[IMG]",
        named={"image_break_token": "[IMG_BREAK]", "image_end_token": "[IMG_END]"},
        known_to_tokenizer=False,
        turns=MISTRAL,
    ),
    "molmo2": Vocabulary(
        image="<im_patch>",
        placeholder="<|image|>",
        others=(
            *("<|image|>", "<|video|>", "<im_col>", "<im_start>", "<low_res_im_start>"),
            *("<frame_start>", "<im_end>", "<frame_end>", "<im_low>"),
        ),
        known_to_tokenizer=False,
    ),
    "muse_glimmer": MUSE,
    "muse_spark": MUSE,
    "ovis2": Vocabulary(
        image="<IMG_ATOM>",
        placeholder="<image>\n",
        others=("<image>", "<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>"),
        known_to_tokenizer=False,
    ),
    "paddleocr_vl": Vocabulary(
        image="<|IMAGE_PLACEHOLDER|>",
        placeholder="<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>",
        others=("<|IMAGE_START|>", "<|IMAGE_END|>"),
        turns=ERNIE,
    ),
    "paligemma": Vocabulary(image="<image>", turns=PALIGEMMA),
    "pp_chart2table": GOT,
    "qianfan_ocr": replace(INTERN, placeholder="<image>\n", others=("<image>",)),
    "qwen2_5_omni_thinker": OMNI_2_5,
    "qwen2_5_vl": QWEN,
    "qwen2_vl": QWEN,
    "qwen3_5": QWEN_THINKS,
    "qwen3_5_moe": QWEN_THINKS,
    "qwen3_omni_moe_thinker": OMNI_3,
    "qwen3_vl": QWEN,
    "qwen3_vl_moe": QWEN,
    "qwen4_exp": QWEN_THINKS,
    "shieldgemma2": GEMMA_3,
    "smolvlm": replace(IDEFICS, named={"video_token": "<video>"}, turns=SMOL),
    "step3p7": Vocabulary(
        image="<im_patch>",
        others=("<im_start>", "<im_end>", "<patch_start>", "<patch_end>", "<patch_newline>"),
        known_to_tokenizer=False,
    ),
    "video_llama_3": QWEN,
    "video_llava": IMAGE,
    "vipllava": IMAGE,
}
