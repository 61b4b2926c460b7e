"""The next items are prepared on a background thread while the caller works on the present one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def prefetched(
    items: Iterable[Item], make: Callable[[Item], Made], ahead: int
) -> Iterator[tuple[Item, Callable[[], Made]]]:
    """Every item in order, with a call that gives what `make` made of it, or raises what it raised.

    At most `ahead` items are made before they are asked for, one at a time and in order. Closing
    the iterator, as `contextlib.closing` does after an exception or Ctrl-C, drops what waits and
    lets the one that is being made finish. Raises `ValueError` when `ahead` is less than 1.
    """
    if ahead < 1:
        raise ValueError(f"ahead must be at least 1, not {ahead}")
    source = iter(items)
    waiting: deque[tuple[Item, Future[Made]]] = deque()
    worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch")
    try:
        while True:
            for item in islice(source, ahead + 1 - len(waiting)):
                waiting.append((item, worker.submit(make, item)))
            if not waiting:
                return
            item, made = waiting.popleft()
            yield item, made.result
            del item, made
    finally:
        worker.shutdown(cancel_futures=True)
