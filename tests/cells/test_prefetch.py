"""Preparing ahead changes when things are made, and nothing else."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from solvent.cells.processes.prefetch import prefetched


def test_items_come_in_order_and_at_most_one_is_made_ahead() -> None:
    made: list[int] = []

    def make(item: int) -> int:
        made.append(item)
        return item * item

    for index, (item, result) in enumerate(prefetched(range(7), make, 1)):
        assert (item, result()) == (index, index * index)
        assert len(made) <= index + 2
    assert made == list(range(7))
    assert list(prefetched([], make, 1)) == []


def test_the_next_item_is_made_while_the_present_one_is_used() -> None:
    second = threading.Event()
    with closing(prefetched((1, 2), lambda item: second.set() if item == 2 else None, 1)) as coming:
        next(coming)
        assert second.wait(10)


@pytest.mark.parametrize("error", [OSError("gone"), KeyboardInterrupt()])
def test_an_error_is_raised_where_its_item_is_used(error: BaseException) -> None:
    def make(item: int) -> int:
        if item == 1:
            raise error
        return item

    for item, result in prefetched(range(3), make, 2):
        if item == 1:
            with pytest.raises(type(error)):
                result()
        else:
            assert result() == item


def test_leaving_early_ends_the_thread() -> None:
    before = threading.active_count()
    with closing(prefetched(range(100), lambda item: item, 1)) as coming:
        next(coming)
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    with pytest.raises(ValueError, match="ahead must be at least 1, not 0"):
        next(prefetched([1], str, 0))
