"""Host memory is kept for the next batch; a batch that does not fit is halved, and that is said."""

from __future__ import annotations

import ctypes
import logging
import platform

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

log = logging.getLogger("solvent")
GLIBC = platform.libc_ver()[0] == "glibc"
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
KEPT = 2**30  # bytes: larger blocks still go back when they are freed


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on a GPU or on the host."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = RuntimeError(str(error)) if isinstance(error, RuntimeError) else error
    return should_reduce_batch_size(said)  # which knows what other backends and the CPU's say


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
    clear_device_cache(garbage_collection=True)
    if GLIBC:
        ctypes.CDLL(None).malloc_trim(0)


def keep_freed() -> None:
    """Let a process that computes on the CPU keep what a batch has freed, for the next one.

    glibc hands large blocks back as soon as they are freed, and the kernel clears them page by page
    when the next layer asks again, which took a quarter of the time of `tiny`. Nothing is changed
    where there is an accelerator, or another C library. Source:
    https://man7.org/linux/man-pages/man3/mallopt.3.html.
    """
    if GLIBC and not torch.accelerator.is_available():
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, KEPT)
        ctypes.CDLL(None).mallopt(M_TRIM_THRESHOLD, KEPT)
