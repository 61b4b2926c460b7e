"""Why a family is not certified, where the error that stops it would say too little: data."""

from __future__ import annotations

from collections.abc import Mapping

REASONS: Mapping[str, str] = {}
