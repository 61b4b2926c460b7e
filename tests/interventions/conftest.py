"""Models and inputs that several files share."""

from __future__ import annotations

from functools import cache

import pytest
from transformers import PreTrainedModel

from tests.random_models import FAMILIES, random_model


@cache
def _model(family: str) -> PreTrainedModel:
    return random_model(family)


@pytest.fixture(params=FAMILIES)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    """A small random model of every family; tests leave it as they found it."""
    return _model(request.param)


@pytest.fixture
def llava() -> PreTrainedModel:
    return _model("llava")
