"""Signs of life: the processes of a run show that they live, and end it when one of them does not.

Once a second a thread of every process sends one byte, which says what the process is doing: the
main process to every other, and they to it. So whoever falls silent, somebody alive notices, and no
file, store or launcher is between them that could be stopped as well.

What counts is whether a byte comes, by the clock of the process that listens, and that clock stands
still while the listener is stopped itself: a run that is suspended as a whole goes on afterwards.
A connection that closes says that its process has ended, which is for the launcher to see.

A byte shows that a process is scheduled and that its interpreter runs threads, not that it gets on:
loading may take as long as it takes, and while questions are answered `monitor` watches
for answers. Code that holds the interpreter's lock for longer than the patience counts as dead. A
process that is alone has nobody to watch it.
"""

from __future__ import annotations

import hmac
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from solvent.core import stopping

TICK = 1.0  # seconds between two signs
GRACE = 45.0  # seconds that others leave to the first who may speak of the main process, and to
# launchers, which need 30 to end them
ARRIVE_WITHIN = 60.0  # seconds in which the processes connect, which they do at once
NOTED_WITHIN = 10.0  # seconds for a last note, as the disk may be what hangs
HANGS = 70  # exit code: EX_SOFTWARE of sysexits.h
DOING = ("preparing or scoring", "loading the model", "answering", "waiting for the others")
PREPARING, LOADING, ANSWERING, WAITING = range(len(DOING))
KEY = 32  # hexadecimal digits that show that somebody belongs to the run
RANK = 8  # digits


class Clock:
    """Seconds for which this process was awake; who looks at it must do so once per tick."""

    def __init__(self) -> None:
        self.now, self._looked = 0.0, time.monotonic()

    def look(self) -> float:
        """The time. More than two ticks since the last look were spent asleep."""
        moment = time.monotonic()
        self.now += min(moment - self._looked, 2 * TICK)
        self._looked = moment
        return self.now


class Peer:
    """Another process.

    Attributes:
        name: as people are told.
        heard: when its last sign came.
        doing: what that said, an index into `DOING`.
        ended: its connection is closed.
    """

    def __init__(self, name: str, link: socket.socket) -> None:
        self.name, self._link = name, link
        self.heard, self.doing, self.ended = 0.0, PREPARING, False
        self._lost = False
        link.setblocking(False)

    def tell(self, doing: int) -> None:
        """Send a sign; never waits."""
        self._use(lambda: self._link.send(bytes([doing])))

    def listen(self, now: float) -> None:
        """Take the signs that came; never waits."""
        signs = self._use(lambda: self._link.recv(4096))
        if signs == b"":
            self.ended = True
        elif signs:
            self.heard, self.doing = now, signs[-1]

    def _use(self, work: Callable[[], Any]) -> Any:
        """The result of using the connection; None where it cannot be used, or not now."""
        if self._lost or self.ended:
            return None
        try:
            return work()
        except BlockingIOError:  # nothing came, or it has not read the signs of hours
            return None
        except (ConnectionResetError, BrokenPipeError):
            self.ended = True
        except OSError:  # its machine or the network is gone: nothing will be heard of it
            self._lost = True
        return None


class Signs:
    """The signs of life of this process, and what it hears of others.

    Attributes:
        doing: what this process does, an index into `DOING`.
        patience: seconds without a sign from a process, after which the run is ended; for ever
            until `expect` says otherwise.
    """

    def __init__(self, rank: int = 0, peers: Sequence[Peer] = ()) -> None:
        self.doing, self.patience = PREPARING, float("inf")
        self._peers, self._grace = peers, GRACE if rank > 1 else 0.0
        self._note: Callable[[str], None] = lambda sentence: None
        self._ending = threading.Lock()
        if peers:
            threading.Thread(target=self._keep, name="signs of life", daemon=True).start()

    def expect(self, minutes: Any) -> None:
        """How long a process may be silent. Raises `ValueError` for what is no number, or little.

        Args:
            minutes: of patience; at least three ticks.
        """
        if not isinstance(minutes, int | float) or not 60 * minutes >= 3 * TICK:
            raise ValueError(
                f"stuck_minutes is {minutes!r}; expected a number of minutes, at least "
                f"{3 * TICK / 60:g}, as a process shows once a second that it lives"
            )
        self.patience = 60.0 * minutes

    @contextmanager
    def at(self, doing: int) -> Iterator[None]:
        """What this process does inside the block; the others are told at once."""
        before = self.doing
        self._tell(doing)
        try:
            yield
        finally:
            self._tell(before)

    @contextmanager
    def noting(self, note: Callable[[str], None]) -> Iterator[None]:
        """Who is told inside the block, in a sentence, why the run is ended by `end_run`."""
        before, self._note = self._note, note
        try:
            yield
        finally:
            self._note = before

    def end_run(self, sentence: str) -> None:
        """Say why and end this process, whatever its main thread waits for; launchers end the rest.

        Of several threads the first does it, and the others wait for the end.
        """
        self._ending.acquire()
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()
        last = threading.Timer(NOTED_WITHIN, os._exit, [HANGS])
        last.daemon = True
        last.start()
        with suppress(OSError):  # it has been said
            stopping.note_ending(stopping.FAILED)
            self._note(sentence)
        os._exit(HANGS)

    def _tell(self, doing: int) -> None:
        self.doing = doing
        for peer in self._peers:
            peer.tell(doing)

    def _keep(self) -> None:
        clock = Clock()
        while not all(peer.ended for peer in self._peers):
            time.sleep(TICK)
            now = clock.look()
            self._tell(self.doing)
            for peer in self._peers:
                peer.listen(now)
                if not peer.ended and now - peer.heard > self.patience + self._grace:
                    self.end_run(
                        f"{peer.name} hangs: it has given no sign of life for "
                        f"{self.patience / 60:g} minutes and was last seen {DOING[peer.doing]}; "
                        "the same command goes on where it is"
                    )


def connect(rank: int, names: Sequence[str], share: Callable[[Any], list[Any]]) -> Signs:
    """Connect every process with the main one; all of them call it.

    Args:
        rank: of this process.
        names: of all processes.
        share: gives every process what each brings.

    Raises:
        ValueError: they cannot reach each other.
    """
    if rank > 0:
        (port, key), *_ = share(None)
        return Signs(rank, [Peer(names[0], _call(port, f"{key}{rank:0{RANK}}", names))])
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    with socket.create_server(
        ("", 0), family=family, dualstack_ipv6=dual, backlog=max(128, len(names))
    ) as server:
        key = secrets.token_hex(KEY // 2)
        share((server.getsockname()[1], key))
        links = _accept(server, key, names)
    return Signs(rank, [Peer(names[other], link) for other, link in sorted(links.items())])


def _call(port: int, greeting: str, names: Sequence[str]) -> socket.socket:
    host = os.environ["MASTER_ADDR"]
    try:
        link = socket.create_connection((host, port), timeout=ARRIVE_WITHIN)
        link.sendall(greeting.encode())
    except OSError as error:
        raise ValueError(
            f"{names[0]} cannot be reached at {host}, port {port} ({error}): the processes of a "
            "run talk over TCP; open it between their machines"
        ) from error
    return link


def _accept(server: socket.socket, key: str, names: Sequence[str]) -> dict[int, socket.socket]:
    links: dict[int, socket.socket] = {}
    server.settimeout(ARRIVE_WITHIN)
    while len(links) < len(names) - 1:
        try:
            link, _ = server.accept()
        except TimeoutError as error:
            missing = next(name for rank, name in enumerate(names) if rank and rank not in links)
            raise ValueError(
                f"{missing} has not connected to the main process within {ARRIVE_WITHIN:g} s: the "
                "processes of a run talk over TCP; open it between their machines"
            ) from error
        link.settimeout(ARRIVE_WITHIN)
        with suppress(OSError):  # somebody who does not belong here
            with link.makefile("rb") as stream:
                said = stream.read(KEY + RANK)
            if hmac.compare_digest(said[:KEY], key.encode()):
                links[int(said[KEY:])] = link
                continue
        link.close()
    return links
