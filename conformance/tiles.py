"""What a tiny checkpoint keeps of the sizes of a real one, and what it cannot read: data.

Sizes of pictures, tiles and patches stay those of the family's configuration class, or of its
checkpoints where the class says something else (`TILES`); everything else is made small.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.sizes import TEXT, TOWER

VOCABULARY = 1024
KEPT = frozenset(  # fields that say how a picture becomes tokens
    {
        "image_size",
        "patch_size",
        "num_position_embeddings",
        "pos_emb_height",
        "pos_emb_width",
        "window_size",
        "image_seq_length",
        "pooling_kernel_size",
        "mm_tokens_per_image",
        "image_grid_pinpoints",
        "projector_patch_to_query_dict",
        "num_image_tokens",
    }
)


def without_tiles(sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Small sizes but for those that are kept."""
    return {
        key: without_tiles(value) if isinstance(value, Mapping) else value
        for key, value in sizes.items()
        if key not in KEPT
    }


SMALL_TEXT: Mapping[str, Any] = {
    **without_tiles(TEXT),
    "vocab_size": VOCABULARY,
    "vocab_size_per_layer_input": VOCABULARY,
    "max_position_embeddings": 32768,
    "sliding_window": 128,  # shorter than the tokens of most pictures
    "attention_chunk_size": 8192,
}
SMALL_TOWER: Mapping[str, Any] = {**without_tiles(TOWER), "vocab_size": VOCABULARY}


def vision(**fields: Any) -> Mapping[str, Any]:
    return {"vision_config": fields}


MINICPM = {**vision(patch_size=14, image_size=980), "insert_layer_id": 0}
SPLITTING = {**vision(image_size=364, patch_size=14), "scale_factor": 2}

TILES: Mapping[str, Mapping[str, Any]] = {
    "apertus1p5": vision(channel_multiplier=[1, 1, 1, 1, 1]),  # halves a side four times
    "chameleon": {"vq_config": {"channel_multiplier": [1, 1, 1, 1, 1], "resolution": 512}},
    "emu3": {"vq_config": {"channel_multiplier": [1, 1, 1, 1]}},
    "aria": vision(image_size=980, patch_size=14),
    "aya_vision": {**vision(image_size=364, patch_size=14), "downsample_factor": 2},
    "cohere2_vision": vision(image_size=512, patch_size=16),
    "deepseek_vl": vision(image_size=384, patch_size=16),
    "deepseek_vl_hybrid": vision(image_size=384, patch_size=16),
    "gemma3": {**vision(image_size=896, patch_size=14), "mm_tokens_per_image": 256},
    "idefics2": {
        **vision(image_size=980, patch_size=14),
        "perceiver_config": {"resampler_n_latents": 64},
    },
    "idefics3": SPLITTING,
    "internvl": vision(image_size=[448, 448], patch_size=[14, 14]),
    "janus": vision(image_size=384, patch_size=16, num_image_tokens=576),
    "lighton_ocr": {**vision(image_size=1540, patch_size=14), "spatial_merge_size": 2},
    "llava": vision(image_size=336, patch_size=14),
    "llava_next": vision(image_size=336, patch_size=14),
    "llava_next_video": vision(image_size=336, patch_size=14),
    "llava_onevision": vision(image_size=384, patch_size=14),
    "minicpm_ocr": vision(patch_size=14, image_size=980),
    "minicpmv4_6": MINICPM,
    "minicpmv4_7": MINICPM,
    "mistral3": {**vision(image_size=1540, patch_size=14), "spatial_merge_size": 2},
    "ovis2": vision(image_size=448, patch_size=14, hidden_stride=2),
    "paligemma": vision(image_size=224, patch_size=14),
    "qianfan_ocr": vision(image_size=[448, 448], patch_size=[14, 14]),
    "shieldgemma2": {**vision(image_size=896, patch_size=14), "mm_tokens_per_image": 256},
    "smolvlm": SPLITTING,
    "video_llama_3": vision(patch_size=14),
    "video_llava": vision(image_size=224, patch_size=14),
    "vipllava": vision(image_size=336, patch_size=14),
}

PROCESSORS: Mapping[str, str] = {  # where transformers maps no processor to the model type
    "cosmos3_omni": "Qwen3VLProcessor",
    "glm_ocr": "Glm46VProcessor",
    "glmga": "Glm46VProcessor",
    "qwen2_5_omni_thinker": "Qwen2_5OmniProcessor",
    "qwen3_omni_moe_thinker": "Qwen3OmniMoeProcessor",
}
IMAGE_PROCESSORS: Mapping[str, str] = {  # the same of image processors
    "glm4v_moe": "Glm4vImageProcessor",
    "glm_ocr": "Glm46VImageProcessor",
    "qwen2_5_omni_thinker": "Qwen2VLImageProcessor",
    "qwen3_omni_moe_thinker": "Qwen2VLImageProcessor",
    "qwen3_vl_moe": "Qwen2VLImageProcessor",
}
IMAGE_SETTINGS: Mapping[str, Mapping[str, Any]] = {  # unlike class and tower
    "paligemma": {"image_seq_length": 256},
    "step3p7": {"patch_size": 504},  # of a tile, not of its tower
}
