"""The events of a cell as lines of JSON, for people without an account anywhere."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from solvent.core.redaction import redacted
from solvent.core.stopping import Stopped
from solvent.tracking.pace import Pace
from solvent.tracking.study_facts import study_config, study_summary
from solvent.tracking.uploads import flat

if TYPE_CHECKING:
    import pandas as pd

FILE = "tracking.jsonl"
log = logging.getLogger("solvent")


@dataclass(frozen=True, kw_only=True)
class JsonLines:
    """`tracking.jsonl` in the cell's folder; a run that goes on writes it anew."""

    name: ClassVar[str] = "jsonl"
    seconds_between_points: float

    @contextmanager
    def follow(
        self,
        *,
        identity: str,
        folder: Path,
        study: str,
        config: Mapping[str, Any],
        labels: Mapping[str, Any],
        provenance: Mapping[str, Any],
        total: int,
    ) -> Iterator[Lines]:
        """Begin the file, and end it the way that the block is left."""
        lines = Lines(folder / FILE, Pace(seconds=self.seconds_between_points))
        lines.begin(
            identity=identity,
            study=study,
            total=total,
            labels=labels,
            config=config,
            provenance=provenance,
        )
        try:
            yield lines
        except BaseException as error:
            lines.leave(error)
            raise

    def compared(
        self,
        *,
        study: str,
        folder: Path,
        tables: Mapping[str, pd.DataFrame],
        facts: Mapping[str, Any],
        page: Path | None,
        figures: Sequence[Path],
        files: Sequence[Path],
    ) -> bool:
        """The comparison's numbers; its tables are files beside, which are named."""
        arms = tables["arms"]
        written = [*files, *figures, *([page] if page else [])]
        lines = Lines(folder / FILE, Pace(seconds=self.seconds_between_points))
        lines.begin(
            study=study,
            config=study_config(arms, facts),
            files=sorted(path.relative_to(folder).as_posix() for path in written),
        )
        return lines.finish(metrics=study_summary(arms, len(arms)))


class Lines:
    """An open file of events."""

    def __init__(self, path: Path, pace: Pace) -> None:
        self.path = path
        self._pace = pace
        self._failed = False

    def begin(self, **facts: Any) -> None:
        """The first line: what is run."""
        self._write("w", {"event": "start", **facts})

    def progress(self, done: int, failed: int, doing: str) -> None:
        """A line, unless the last was a moment ago."""
        if point := self._pace.point(done, failed, doing):
            self._write("a", {"event": "progress", **point})

    def finish(self, *, metrics: Mapping[str, Any], **rest: Any) -> bool:
        """The last line: all metrics by flat names. Whether everything was written."""
        if point := self._pace.last():
            self._write("a", {"event": "progress", **point})
        self._write("a", {"event": "finish", "summary": flat(metrics)})
        return not self._failed

    def leave(self, error: BaseException) -> None:
        """The last line of a run that did not finish."""
        event = "stopped" if isinstance(error, Stopped | KeyboardInterrupt) else "failed"
        self._write("a", {"event": event, "why": f"{type(error).__name__}: {error}"})

    def _write(self, mode: str, event: Mapping[str, Any]) -> None:
        if self._failed:
            return
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"at": at, **redacted(event)}, ensure_ascii=False, default=str)
        try:
            with self.path.open(mode, encoding="utf-8") as file:
                file.write(f"{line}\n")
        except OSError as error:
            self._failed = True
            log.warning(
                "%s could not be written (%s). The run goes on; run the same command again to have "
                "the file.",
                self.path,
                error,
            )
