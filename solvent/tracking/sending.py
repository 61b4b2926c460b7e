"""A W&B run that may fail or hang, and never fails or holds up what it is told of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from solvent.tracking.outbox import Outbox
from solvent.tracking.starting import begin, end_service, place_of, staging

if TYPE_CHECKING:
    from solvent.tracking.weights_and_biases import WandB

FAILED = 1  # exit code that the dashboard shows
STARTING = 60.0  # seconds for the import and W&B's own process, beside the network
LONGEST_TAG, LONGEST_NAME = 64, 128  # characters that W&B takes


@dataclass(eq=False)
class Session:
    """A run from its beginning to its end; silent once W&B could not start it."""

    settings: WandB
    again: str  # what to do where something was not logged, a sentence
    run: Any = None
    outbox: Outbox = field(default_factory=lambda: Outbox("W&B"))
    open: bool = False

    @property
    def limit(self) -> float:
        """Seconds that the last uploads may take."""
        return self.settings.finish_timeout + STARTING

    def start(
        self,
        description: Mapping[str, Any],
        *,
        anew: bool = False,
        prepare: Callable[[Any], None] | None = None,
    ) -> None:
        """Begin the run, online where somebody is logged in, offline elsewhere.

        Args:
            description: of the run, as `wandb.init` takes it.
            anew: replace all that an earlier run of this id logged online; else that is added to.
            prepare: what is done with the run at once.
        """
        limit = 2 * self.settings.init_timeout + STARTING

        def call() -> Any:
            run = begin(self.settings, description, anew=anew)
            if run is not None and prepare is not None:
                prepare(run)
            return run

        self.run = self.outbox.ask(call, "to start a run", self.again, limit)
        self.open = self.run is not None

    def tell(self, call: Callable[[Any], Any], doing: str, advice: str) -> None:
        """Make a call with the run without waiting for it."""
        if self.open:
            run = self.run
            self.outbox.tell(lambda: call(run), doing, advice)

    def deliver(self, call: Callable[[Any], None]) -> bool:
        """Log results by a call with the run, and end it; whether all of it is logged."""
        if not self.open:
            return False
        run = self.run

        def log() -> bool:
            with staging(run):
                call(run)
            return True

        delivered = self.outbox.ask(log, "to log the results", self.again, self.limit)
        return self.end(0 if delivered else FAILED, self.limit) and delivered is True

    def end(self, code: int, limit: float, before: Callable[[], Any] | None = None) -> bool:
        """Close the run; whether W&B has all that was logged."""
        if not self.open:
            self.outbox.dismiss()
            return False
        run, self.open = self.run, False

        def close() -> bool:
            if before is not None:
                before()
            run.finish(exit_code=code)
            return True

        advice = f"`wandb sync {place_of(run)}` uploads what is stored. {self.again}"
        ended = self.outbox.ask(close, "to end the run", advice, limit)
        self.outbox.dismiss()
        if self.outbox.hung:
            end_service()
        return ended is True
