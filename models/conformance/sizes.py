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
    "projection_dim": 32,
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

FAMILIES: Mapping[str, Mapping[str, Any]] = {}
