"""float32 that is float32: products and convolutions are not rounded to TF32 on a GPU.

TF32 keeps 10 bits of a factor's mantissa instead of 23. torch lets cuDNN use it for convolutions
unless it is told otherwise, which moved log-probabilities of `tiny` by 0.005 nats on an H200.
https://pytorch.org/docs/stable/notes/cuda.html
"""

from __future__ import annotations

import warnings

import torch


def refuse_tf32() -> None:
    """Turn TF32 off for the whole process, in the old settings of torch and in the new ones.

    Either alone leaves a gap: the old one for convolutions gives way to the new one for everything
    (`torch.backends.fp32_precision`), and where only new ones were set, reading an old one raises.
    """
    with warnings.catch_warnings():  # some releases call the old settings deprecated
        warnings.simplefilter("ignore")
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
    if hasattr(torch.backends.cudnn, "conv"):  # torch 2.9 and later
        torch.backends.cuda.matmul.fp32_precision = "ieee"
        torch.backends.cudnn.conv.fp32_precision = "ieee"
        torch.backends.cudnn.rnn.fp32_precision = "ieee"  # else an old setting cannot be read


def tf32_is_allowed() -> bool:
    """Whether anybody has turned TF32 on again."""
    if hasattr(torch.backends.cudnn, "conv"):
        new = (torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision)
        return "tf32" in new
    return torch.backends.cudnn.allow_tf32 or torch.get_float32_matmul_precision() != "highest"
