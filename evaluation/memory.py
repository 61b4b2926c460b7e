"""What to do when a batch does not fit into memory: halve it, say so, go on."""

from __future__ import annotations

import gc
import logging

import torch

log = logging.getLogger("solvent")
CPU_ALLOCATOR = "can't allocate memory"  # torch on a CPU raises a plain RuntimeError with this


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on a GPU or on the host."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and CPU_ALLOCATOR in str(error)
    )


class Room:
    """How many prompts fit into one forward, as far as is known."""

    def __init__(self, size: int) -> None:
        self.size = size

    def halve(self, tried: int) -> None:
        """A batch of `tried` prompts, at least 2, did not fit: say so, and free what it held."""
        self.size = min(self.size, tried // 2)
        log.warning("out of memory with %d prompts at once; going on with %d", tried, self.size)
        release()


def release() -> None:
    """Give back the memory that nobody holds any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
