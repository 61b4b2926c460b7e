"""How small each field of a configuration is made: data, read by `conformance.builders`.

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
    "embed_dim": WIDTH,
    "word_embed_proj_dim": WIDTH,
    "attention_heads": 4,
    "layers": LAYERS,
    "num_layers": LAYERS,
    "num_decoder_layers": LAYERS,
    "decoder_layers": LAYERS,
    "decoder_attention_heads": 4,
    "decoder_ffn_dim": 48,
    "encoder_layers": 2,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "ffn_dim": 48,
    "d_ff": 48,
    "num_heads": 4,
    "hidden_size_per_layer_input": 16,
    "vocab_size_per_layer_input": VOCABULARY,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": VOCABULARY,
    "sliding_window": WINDOW,
    "attention_chunk_size": 8,  # the first chunk holds the image and some text
    "query_pre_attn_scalar": 16,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_head_dim": 8,
    "linear_num_heads": 4,
    "index_head_dim": 16,
    "index_n_heads": 4,
    "index_topk": 4,  # fewer keys than a prompt has, so that sparse attention is sparse
    "index_kpool": 1,
    "index_block_size": 4,
    "index_topk_blocks": 2,
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

IMAGE = 60  # the image token where the configuration leaves it open
CODES = {f"IMGIMG{letter}Z": 70 + code for code, letter in enumerate("ABCDEFGH")}
VISUAL = {f"<|visual token {code:06d}|>": 70 + code for code in range(8)}
SMALL_VQ = {
    "base_channels": 32,
    "channel_multiplier": [1, 1],
    "embed_dim": 8,
    "latent_channels": 8,
}
SMALL_TOWER = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "patch_size": 4,
}
PINPOINTS = [[16, 16], [16, 32], [32, 16], [32, 32]]
VISION_START = {"vision_start_token_id": 90, "vision_end_token_id": 91}


def rotated(*sections: int) -> Mapping[str, Any]:
    """Rotary frequencies given to time, height and width."""
    return {"text_config": {"rope_parameters": {"mrope_section": list(sections)}}}


FAMILIES: Mapping[str, Mapping[str, Any]] = {
    "apertus1p5": {
        "image_token_id": IMAGE,
        "image_token_offset": 70,
        "audio_token_offset": 78,
        "vision_config": {**SMALL_VQ, "codebook_size": 8, "attn_resolutions": []},
        "audio_config": {"codebook_size": 8, "codebook_dim": 32, "decoder_hidden_size": 32},
    },
    "aria": {"projector_patch_to_query_dict": {16: 4}},
    "blip-2": {"image_token_index": IMAGE, "num_query_tokens": 4},
    "muse_glimmer": {"out_hidden_size": 128},
    "muse_spark": {"out_hidden_size": 128},
    "chameleon": {
        "image_token_id": IMAGE,
        "vocabulary_map": {"<image>": IMAGE, **CODES},
        "vq_config": {**SMALL_VQ, "num_embeddings": 8, "resolution": 16},
    },
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
    "deepseek_ocr2": {
        "text_config": {
            "num_experts_per_tok": 2,
            "mlp_layer_types": ["dense", "sparse", "sparse", "sparse"],
        }
    },
    "emu3": {
        "vocabulary_map": {"<image>": IMAGE, "<|extra_200|>": 61, **VISUAL},
        "image_token_id": IMAGE,
        "vq_config": {**SMALL_VQ, "codebook_size": 8},
    },
    "fuyu": {"patch_size": 4, "image_size": 16},
    "gemma4": {
        "text_config": {"use_bidirectional_attention": "vision"},
        "vision_config": {"model_type": "gemma4_vision", "pooling_kernel_size": 2, **SMALL_TOWER},
    },
    "gemma4_unified": {
        "vision_config": {
            "model_type": "gemma4_unified_vision",
            "patch_size": 2,
            "pooling_kernel_size": 2,
            "mm_embed_dim": 32,
            "mm_posemb_size": 64,
            "output_proj_dims": 32,
        }
    },
    "glm5_next": {"text_config": {"qk_rope_head_dim": 0, "head_dim": 0, "qk_head_dim": 16}},
    "instructblip": {"image_token_index": IMAGE, "num_query_tokens": 4},
    "instructblipvideo": {"video_token_index": IMAGE, "num_query_tokens": 4},
    "kimi_k25": {"text_config": {"head_dim": 8}},
    "kosmos-2": {"latent_query_num": 4},
    "kosmos-2.5": {"latent_query_num": 4},
    "minicpm_ocr": {"image_token_id": IMAGE, "image_size": 16, "patch_size": 4},
    "minicpmv4_6": {"image_token_id": IMAGE, "image_size": 16, "patch_size": 4},
    "minicpmv4_7": {"image_token_id": IMAGE, "image_size": 16, "patch_size": 4},
    "molmo2": {
        "vision_config": {"num_position_embeddings": 16},
        "adapter_config": {
            **SMALL_TOWER,
            "vision_feature_layer": [1, 0],
            "text_hidden_size": WIDTH,
        },
    },
    "nemotron_h_omni": {"image_token_id": IMAGE, "vision_hidden_size": 32},
    "paddleocr_vl": rotated(4, 2, 2),
    "qwen4_exp": {
        "text_config": {
            "indexer_n_heads": 4,
            "indexer_kv_heads": 1,
            "indexer_head_dim": 16,
            "indexer_budget": 8,
            "indexer_compress_ratio": 2,
        }
    },
    "t5gemma2": {
        "encoder": {
            "text_config": {
                "hidden_size": WIDTH,
                "num_hidden_layers": LAYERS,
                "layer_types": ["sliding_attention", "full_attention"] * 2,
            }
        },
    },
    "gemma3": {"mm_tokens_per_image": 4},
    "shieldgemma2": {"mm_tokens_per_image": 4},
    "glm46v": rotated(4, 2, 2),
    "glm4v": rotated(4, 2, 2),
    "glm4v_moe": rotated(2, 1, 1),
    "glm_ocr": rotated(4, 2, 2),
    "glmga": rotated(4, 2, 2),
    "got_ocr2": {"vision_config": {"image_size": 32}},
    "granite4_vision": {
        "image_grid_pinpoints": PINPOINTS,
        "downsample_rate": "1/2",
        "deepstack_layer_map": [[0, 0], [1, 1]],
        "spatial_target_layers": [2, 3],
    },
    "granite_docling": {"vision_config": {"image_size": 32}},
    "hy_v4_vl": rotated(2, 1, 1),
    "hunyuan_vl": {
        "text_config": {"head_dim": 16, "rope_parameters": {"mrope_section": [2, 2, 2, 2]}}
    },
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
    "qwen2_5_omni_thinker": {**VISION_START, **rotated(4, 2, 2)},
    "qwen2_5_vl": rotated(4, 2, 2),
    "qwen2_vl": {
        "vision_config": {"embed_dim": 32, "hidden_size": WIDTH},
        **rotated(4, 2, 2),
    },
    "qwen3_omni_moe_thinker": VISION_START,
    "step3p7": {"text_config": {"sliding_window": WINDOW}, "vision_config": {"image_size": 64}},
    "vipllava": {"vision_feature_layers": [-2, -1]},
    "janus": {
        "vq_config": {
            **SMALL_VQ,
            "num_embeddings": 64,
            "image_token_embed_dim": 32,
            "num_patches": 4,
        },
        "vision_config": {"projection_dim": WIDTH, "num_image_tokens": 16},
    },
}
