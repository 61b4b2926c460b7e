"""The exceptions of this package: what was expected, what came, and what to do."""

from __future__ import annotations

from solvent.core.types import RefusedError


def first_line(error: Exception) -> str:
    """What an error of a library says, short enough to stand in a sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


class ModelError(ValueError):
    """A checkpoint, a setting or a prompt that cannot be used as asked; one sentence."""


class PromptError(ModelError, RefusedError):
    """A prompt, or an answer to it, that cannot be used as asked; one sentence that names it."""
