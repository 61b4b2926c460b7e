"""What the tests of the benchmarks share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from solvent.benchmarks.benchmark import Benchmark
from solvent.core import paths
from solvent.core.paths import CONF
from solvent.core.types import CandidateScore, Gold, Prediction, Sample, Status


@pytest.fixture
def predict() -> Callable[..., Prediction]:
    """Makes a prediction from a uid, a credit and whatever else matters."""

    def make(
        uid: str,
        credit: float = 0.0,
        *,
        status: Status = "ok",
        parsed: int | None = 0,
        groups: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        condition: str = "real",
        gold: Gold = 0,
        options: tuple[str, ...] | None = None,
        scores: tuple[float, ...] | None = None,
    ) -> Prediction:
        return Prediction(
            uid=uid,
            condition=condition,
            raw=None,
            scores=scores and tuple(CandidateScore(log_probability=s, tokens=1) for s in scores),
            parsed=parsed,
            gold=gold,
            options=options,
            status=status,
            credit=credit,
            visual_mass=None,
            cells_edited=0,
            groups=groups or {},
            tags=tags or {},
        )

    return make


@pytest.fixture
def sample() -> Callable[..., Sample]:
    """Makes a sample from a uid and whatever else matters."""

    def make(uid: str = "t/1", **fields: object) -> Sample:
        usual = {"images": (), "text": "What is it?", "options": ("cat", "dog"), "gold": 0}
        return Sample(uid=uid, **(usual | fields))

    return make


@pytest.fixture
def published() -> Path:
    """The folder of published data that some tests read, where it is present."""
    folder = paths.resolve(os.environ.get(paths.VARIABLE, "../shared/data"))
    if not folder.exists():
        pytest.skip(f"{folder} is absent")
    return folder


@pytest.fixture
def nlvr_config() -> DictConfig:
    """The configuration of NLVR as the command composes it: benchmark and prompt."""
    return OmegaConf.create(
        {
            "benchmark": OmegaConf.load(CONF / "benchmark" / "nlvr.yaml"),
            "prompt": OmegaConf.load(CONF / "prompt" / "native.yaml"),
        }
    )


@pytest.fixture
def nlvr(nlvr_config: DictConfig) -> Benchmark:
    """The real NLVR, where its data are present."""
    benchmark = instantiate(nlvr_config.benchmark)
    if not (folder := paths.resolve(benchmark.source.root)).exists():
        pytest.skip(f"{folder} is absent")
    return benchmark
