"""The request to stop."""

from __future__ import annotations


class Stopped(Exception):  # noqa: N818 - a request, not a mistake
    """Somebody asked the run to stop; what was computed is kept."""
