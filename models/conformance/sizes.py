"""How small each field of a configuration is made: data, read by `models.conformance.builders`.

`TEXT` and `TOWER` hold for the fields of text decoders and of everything else (vision, audio).
`FAMILIES` holds what one family needs besides; nested configurations are nested mappings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WIDTH = 64  # of the decoder's residual stream
LAYERS = 4  # of the decoder: two of each kind where kinds alternate
VOCABULARY = 256
FIRST_TEXT_ID = 128  # smaller ids are kept for special tokens
WINDOW = 6  # of sliding and chunked attention, shorter than every prompt

COMMON: Mapping[str, Any] = {
    "intermediate_size": 48,
    "max_position_embeddings": 512,
    "moe_intermediate_size": 24,
    "shared_expert_intermediate_size": 24,
    "out_hidden_size": WIDTH,
    "text_hidden_size": WIDTH,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "num_experts": 4,
    "n_routed_experts": 4,
    "num_local_experts": 4,
    "moe_num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_k": 2,
    "moe_topk": 2,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "q_lora_rank": 24,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "qk_head_dim": 24,
    "v_head_dim": 12,  # differs from the width of queries and keys
    "projection_hidden_size": 32,
    "projection_dim": WIDTH,
    "projection_intermediate_size": 32,
    "projector_hidden_size": 32,
    "alignment_intermediate_size": 32,
    "image_seq_length": 16,
    "encoder_hidden_size": 32,
}

TEXT: Mapping[str, Any] = {
    **COMMON,
    "hidden_size": WIDTH,
    "d_model": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": VOCABULARY,
    "sliding_window": WINDOW,
    "attention_chunk_size": WINDOW,
    "query_pre_attn_scalar": 16,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "index_head_dim": 16,
    "index_n_heads": 4,
}

TOWER: Mapping[str, Any] = {
    **COMMON,
    "hidden_size": 32,
    "embed_dim": 32,
    "d_model": 32,
    "num_hidden_layers": 2,
    "depth": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "num_heads": 2,
    "attention_heads": 2,
    "head_dim": 16,
    "vocab_size": VOCABULARY,
    "image_size": 16,
    "patch_size": 4,
    "num_position_embeddings": 64,
    "pos_emb_height": 8,
    "pos_emb_width": 8,
    "deepstack_visual_indexes": [0, 1],
    "fullatt_block_indexes": [1],
    "global_attn_indexes": [1],
    "window_size": 8,
    "mlp_dim": 48,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
}

PINPOINTS = [[16, 16], [16, 32], [32, 16], [32, 32]]
VISION_START = {"vision_start_token_id": 90, "vision_end_token_id": 91}


def rotated(*sections: int) -> Mapping[str, Any]:
    """Rotary frequencies given to time, height and width."""
    return {"text_config": {"rope_parameters": {"mrope_section": list(sections)}}}


FAMILIES: Mapping[str, Mapping[str, Any]] = {
    "aria": {"projector_patch_to_query_dict": {16: 4}},
    "chameleon": {"vocabulary_map": {"<image>": 60, "IMGIMGAAZ": 61}},
    "cohere_compass": {
        "text_config": {
            "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 10000.0}}
        }
    },
    "ernie4_5_vl_moe": {
        "text_config": {
            "moe_intermediate_size": [24, 12],
            "rope_parameters": {"mrope_section": [3, 3, 2]},
        }
    },
    "gemma3": {"mm_tokens_per_image": 4},
    "shieldgemma2": {"mm_tokens_per_image": 4},
    "glm46v": rotated(4, 2, 2),
    "glm4v": rotated(4, 2, 2),
    "glm4v_moe": rotated(2, 1, 1),
    "glm_ocr": rotated(4, 2, 2),
    "glmga": rotated(4, 2, 2),
    "got_ocr2": {"vision_config": {"image_size": 32}},
    "hunyuan_vl": {"text_config": {"head_dim": 16}},
    "llama4": {
        "text_config": {"intermediate_size_mlp": 48, "num_experts_per_tok": 1},
        "vision_config": {
            "intermediate_size": 128,  # four neighbouring patches side by side
            "projector_input_dim": WIDTH,
            "projector_output_dim": WIDTH,
            "vision_output_dim": WIDTH,
        },
    },
    "llava_next": {"image_grid_pinpoints": PINPOINTS},
    "llava_next_video": {"image_grid_pinpoints": PINPOINTS},
    "llava_onevision": {"image_grid_pinpoints": PINPOINTS},
    "pp_chart2table": {"vision_config": {"image_size": 32}},
    "qwen2_5_omni_thinker": VISION_START,
    "qwen2_5_vl": rotated(4, 2, 2),
    "qwen2_vl": {
        "vision_config": {"embed_dim": 32, "hidden_size": WIDTH},
        **rotated(4, 2, 2),
    },
    "qwen3_omni_moe_thinker": VISION_START,
    "step3p7": {"text_config": {"sliding_window": WINDOW}},
    "vipllava": {"vision_feature_layers": [-2, -1]},
    "janus": {
        "vq_config": {
            "base_channels": 32,
            "channel_multiplier": [1, 1],
            "num_embeddings": 64,
            "image_token_embed_dim": 32,
            "embed_dim": 8,
            "num_patches": 4,
        },
        "vision_config": {"projection_dim": WIDTH, "num_image_tokens": 16},
    },
}
