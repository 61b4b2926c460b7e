"""What one row of a batch says, token by token: perhaps a thought, then an answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Thinking:
    """How a model thinks before it answers."""

    budget: int  # tokens that a thought may take
    opened: bool  # whether the prompt opens the thought, or the model does
    begin: tuple[int, ...]  # tokens that open it
    end: tuple[int, ...]  # tokens that end it as they stand alone
    ends: Callable[[Sequence[int]], bool]  # whether tokens say so, perhaps merged with a line end
    cut: tuple[int, ...]  # tokens that end it where the budget is spent


@dataclass(eq=False)
class Speaker:
    """Takes the likeliest token at every step, and says which one is read next."""

    limit: int  # tokens of an answer
    stops: Collection[int]  # tokens that end it
    thinking: Thinking | None
    thought: list[int] = field(default_factory=list)
    answer: list[int] = field(default_factory=list)
    opening: list[int] = field(default_factory=list)  # all that was read before the answer
    over: bool = False
    _thinks: bool = False
    _forced: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._thinks = self.thinking is not None and self.thinking.opened

    def says(self, likeliest: int) -> int:
        """The token that is read next; of no meaning once it is `over`."""
        answered = len(self.answer)
        token = self._next(likeliest)
        if not self.over and len(self.answer) == answered:
            self.opening.append(token)
        return token

    def _next(self, likeliest: int) -> int:
        if self._forced:
            return self._forced.pop(0)
        if self.over or likeliest in self.stops:
            self.over = True
            return likeliest
        thinking = self.thinking
        if thinking is not None and not (self._thinks or self.thought or self.answer):
            self._thinks = likeliest == thinking.begin[0]  # the model opens it, or does not think
        if thinking is not None and self._thinks:
            return self._think(likeliest, thinking)
        self.answer.append(likeliest)
        self.over = len(self.answer) == self.limit
        return likeliest

    @property
    def cut(self) -> bool:
        """Whether the answer has reached its limit; nobody knows if it would have ended there."""
        return len(self.answer) == self.limit

    def _think(self, likeliest: int, thinking: Thinking) -> int:
        self.thought.append(likeliest)
        sizes = range(1, len(thinking.end) + 1)
        size = next((size for size in sizes if thinking.ends(self.thought[-size:])), None)
        if size is not None:
            del self.thought[-size:]
            self._thinks = False
        elif len(self.thought) >= thinking.budget:
            self._forced, self._thinks = list(thinking.cut), False
        return likeliest
