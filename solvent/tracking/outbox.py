"""Calls of a service that may fail or hang, made so that a run never does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any

from solvent.core.redaction import redacted_text

log = logging.getLogger("solvent")


class Outbox:
    """Makes calls one after the other in a thread of its own.

    What goes wrong is said in one sentence and never raised. The thread is a daemon: a call that
    hangs does not keep the process alive.
    """

    def __init__(self, service: str) -> None:
        self.service = service
        self.hung = False
        self.failed = False
        self._calls: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        Thread(target=self._work, name=f"{service} outbox", daemon=True).start()

    def ask(self, call: Callable[[], Any], doing: str, advice: str, seconds: float) -> Any:
        """The result of a call; None where it raised, or took longer than so many seconds."""
        if self.hung:
            return None
        future = self._send(call)
        try:
            return future.result(timeout=seconds)
        except TimeoutError:
            if not future.done():
                self.hung = True
                self._say(f"did not answer within {seconds:,.0f} s", doing, advice)
            else:
                self._say(_reason(future), doing, advice)
        except Exception:
            self._say(_reason(future), doing, advice)
        return None

    def tell(self, call: Callable[[], Any], doing: str, advice: str) -> None:
        """Make a call without waiting for it."""
        if self.hung or self.failed:
            return

        def heard(future: Future[Any]) -> None:
            if future.exception() is not None and not self.failed:
                self._say(_reason(future), doing, advice)

        self._send(call).add_done_callback(heard)

    def dismiss(self) -> None:
        """End the thread once it has made its calls."""
        self._calls.put(None)

    def _send(self, call: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        self._calls.put((call, future))
        return future

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            call, future = item
            try:
                result = call()
            except BaseException as error:  # also SystemExit: another package's exit is not ours
                future.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))
            else:
                future.set_result(result)

    def _say(self, reason: str, doing: str, advice: str) -> None:
        self.failed = True
        sentence = f"{self.service} failed {doing} ({reason}). The run goes on. {advice}"
        log.warning("%s", redacted_text(sentence))


def _reason(future: Future[Any]) -> str:
    """What went wrong, on one line."""
    return " ".join(str(future.exception()).split())[:500]
