"""The one exception of this package: what was expected, what came, and what to do."""

from __future__ import annotations


class ModelError(ValueError):
    """A checkpoint, a setting or a prompt that cannot be used as asked; one sentence."""
