"""Rows that are left out because somebody said so, or because nothing can be made of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from solvent.benchmarks.sample import BadRowError
from solvent.core.names import did_you_mean
from solvent.core.types import Sample

BadRows = Literal["refuse", "skip"]
"""What becomes of a row of which no sample can be made."""

NAMED = 5  # bad rows whose sentences are logged and recorded

log = logging.getLogger("solvent")


@dataclass(frozen=True, kw_only=True)
class Read:
    """What was read of a set.

    Attributes:
        samples: that are asked.
        named: that were left out by their uid.
        bad: what is wrong with the rows that were left out for it.
    """

    samples: tuple[Sample, ...]
    named: tuple[Sample, ...]
    bad: tuple[str, ...]

    @property
    def skipped(self) -> int:
        """How many rows are left out."""
        return len(self.named) + len(self.bad)

    def facts(self) -> dict[str, Any]:
        """For the provenance of a result; nothing where nothing is left out."""
        if not self.skipped:
            return {}
        uids = [sample.uid for sample in self.named]
        return {"skipped": {"rows": self.skipped, "uids": uids, "bad": [*self.bad[:NAMED]]}}


def read(source: Any, name: str, bad_rows: BadRows = "refuse", skip: Sequence[str] = ()) -> Read:
    """The rows of a source without those that are to be left out; says how many these are.

    Args:
        source: as `solvent.benchmarks.source.Source`.
        name: of the benchmark.
        bad_rows: "refuse" raises at the first bad row that `skip` does not name.
        skip: uids of rows to leave out, bad or not.

    Raises:
        ValueError: a bad row, or no row has a uid that `skip` names; also whatever reading raises.
    """
    rows: Iterable[Sample | BadRowError] = source.each() if hasattr(source, "each") else source()
    wanted, seen = {*skip}, set()
    samples, named, bad = [], [], []
    for row in rows:
        seen.add(row.uid)
        if isinstance(row, BadRowError):
            if row.uid not in wanted and bad_rows == "refuse":
                raise row
            bad.append(str(row))
        else:
            (named if row.uid in wanted else samples).append(row)
    if absent := sorted(wanted - seen):
        known = [sample.uid for sample in samples]
        raise ValueError(
            f"{name} has no row {absent[0]!r}{did_you_mean(absent[0], known)}; correct "
            "benchmark.skip, which names it"
        )
    found = Read(samples=tuple(samples), named=tuple(named), bad=tuple(bad))
    if found.skipped:
        log.warning(
            "%d rows of %s are left out: %d named in benchmark.skip, %d bad%s",
            found.skipped,
            name,
            len(named),
            len(bad),
            "".join(f"\n  {each}" for each in found.bad[:NAMED]),
        )
    return found
