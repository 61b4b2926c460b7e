"""The exceptions of this package: what was expected, what came, and what to do."""

from __future__ import annotations

from solvent.core.types import RefusedError


class ModelError(ValueError):
    """A checkpoint, a setting or a prompt that cannot be used as asked; one sentence."""


class PromptError(ModelError, RefusedError):
    """A prompt, or an answer to it, that cannot be used as asked; one sentence that names it."""
