"""What everything but the model costs is counted for every sample."""

from __future__ import annotations

from tools.overhead import POINTS, measured


def test_every_sample_is_answered_and_memory_is_seen_ten_times() -> None:
    seconds, processor, model = measured(160, batch_size=16)
    assert seconds > 0 < processor
    assert list(model.memory) == list(range(16, 161, 16))
    assert len(model.memory) == POINTS
    assert min(model.memory.values()) > 10  # MiB
