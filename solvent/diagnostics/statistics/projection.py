"""Principal components of decoder states: what is stored of them, and all that tests read.

Axes: N samples, L decoder layers + 1, H hidden size, D components.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from sklearn.decomposition import PCA

from solvent.diagnostics.answers import REFERENCE
from solvent.diagnostics.statistics import arrays
from solvent.diagnostics.statistics.strata import Strata
from solvent.diagnostics.stored_states import Part, States

FIT_ROWS = 4096  # samples the components are fitted on at most: memory does not grow with n
CHUNK = 2048  # samples projected at a time
DECIMALS = 5  # states have unit RMS; equal states get equal scores whatever the order of sums


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """States of several conditions on the components of the real run.

    NaN where a state is missing or was not finite. The first d components are those of a PCA to d.
    """

    uids: tuple[str, ...]
    strata: tuple[str, ...]  # name of every sample's
    clusters: Int[np.ndarray, " N"]  # samples that share an image or another group are one
    left_out: Mapping[str, int]  # reason -> samples
    image: Float[np.ndarray, "N L D"]  # of the real run
    last: Mapping[str, Float[np.ndarray, "N L D"]]  # by condition
    question: Mapping[str, Float[np.ndarray, "N L D"]]  # by condition
    basis: str  # SHA-256 of the components

    def save(self, path: Path) -> None:
        """Write everything to one .npz, atomically."""
        about = {"uids": self.uids, "strata": self.strata, "left_out": dict(self.left_out)}
        values = {"image": self.image, "clusters": self.clusters}
        values |= {f"last/{name}": scores for name, scores in self.last.items()}
        values |= {f"question/{name}": scores for name, scores in self.question.items()}
        arrays.save(path, values | {"about": np.array(json.dumps(about | {"basis": self.basis}))})

    @staticmethod
    def load(path: Path) -> Scores:
        """What `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            stored = dict(file)
        about = json.loads(str(stored.pop("about")))
        runs: dict[str, dict[str, np.ndarray]] = {"last": {}, "question": {}}
        for key in [key for key in stored if "/" in key]:
            part, name = key.split("/", 1)
            runs[part][name] = stored.pop(key)
        about |= {"uids": tuple(about["uids"]), "strata": tuple(about["strata"])}
        return Scores(**about, **stored, **runs)


def project(states: Mapping[str, States], strata: Strata, dimensions: int) -> Scores:
    """Scores of every condition on components fitted on the real run, layer by layer.

    Components are those of residuals around the means of the strata, pooled, so that what the
    answer alone explains takes none of them. Samples that a condition does not show are left out.

    Raises `ValueError` without the real run.
    """
    if REFERENCE not in states:
        raise ValueError(f"components are fitted on states under {REFERENCE!r}, found none")
    kept, absent = [], Counter[str]()
    for place, uid in enumerate(strata.uids):
        missing = next((name for name, shown in states.items() if uid not in shown.rows), None)
        if missing is None:
            kept.append(place)
        else:
            absent[f"not under {missing}"] += 1
    uids = tuple(strata.uids[place] for place in kept)
    names = tuple(strata.names[place] for place in kept)
    rows = {
        name: np.array([shown.rows[uid] for uid in uids], dtype=int)
        for name, shown in states.items()
    }
    digest, runs = sha256(), {}
    for part in ("image", "last", "question"):
        shown = [REFERENCE] if part == "image" else list(states)
        layers = zip(*_layers(states, rows, part, shown, names, dimensions, digest), strict=True)
        runs[part] = {
            name: np.stack(found, axis=1) for name, found in zip(shown, layers, strict=True)
        }
    return Scores(
        uids=uids,
        strata=names,
        clusters=strata.clusters[kept],
        left_out={**strata.left_out, **absent},
        image=runs["image"][REFERENCE],
        last=runs["last"],
        question=runs["question"],
        basis=digest.hexdigest(),
    )


def _layers(
    states: Mapping[str, States],
    rows: Mapping[str, Int[np.ndarray, " N"]],
    part: Part,
    shown: list[str],
    names: tuple[str, ...],
    dimensions: int,
    digest: Any,
) -> Iterator[list[Float[np.ndarray, "N D"]]]:
    """Scores of all conditions, one layer after the other."""
    _, strata = np.unique(names, return_inverse=True)
    real = getattr(states[REFERENCE], part)
    for layer in range(real.shape[1]):
        mean, components = _components(real[:, layer], rows[REFERENCE], strata, dimensions)
        digest.update(components.tobytes())
        yield [
            _projected(getattr(states[name], part)[:, layer], rows[name], mean, components)
            for name in shown
        ]


def _components(
    values: Float[np.ndarray, "S H"],
    rows: Int[np.ndarray, " N"],
    strata: Int[np.ndarray, " N"],
    dimensions: int,
) -> tuple[Float[np.ndarray, " H"], Float[np.ndarray, "D H"]]:
    """Mean and leading directions of the residuals around the strata's means; zeros where none."""
    chosen = np.random.default_rng(0).permutation(len(rows))[:FIT_ROWS]
    chosen.sort()
    sample = values[rows[chosen]].astype(np.float64)
    finite = np.isfinite(sample).all(axis=1)
    sample, strata = sample[finite], strata[chosen][finite]
    components = np.zeros((dimensions, values.shape[1]))
    if len(sample) < 2:
        return np.zeros(values.shape[1]), components
    mean = sample.mean(axis=0)
    for stratum in np.unique(strata):
        sample[strata == stratum] -= sample[strata == stratum].mean(axis=0)
    if np.abs(sample).max() > 10.0**-DECIMALS:
        count = min(dimensions, *sample.shape)
        components[:count] = PCA(count, random_state=0).fit(sample).components_
    return mean, components


def _projected(
    values: Float[np.ndarray, "S H"],
    rows: Int[np.ndarray, " N"],
    mean: Float[np.ndarray, " H"],
    components: Float[np.ndarray, "D H"],
) -> Float[np.ndarray, "N D"]:
    scores = np.empty((len(rows), len(components)), np.float32)
    for start in range(0, len(rows), CHUNK):
        part = values[rows[start : start + CHUNK]].astype(np.float64) - mean
        scores[start : start + CHUNK] = np.round(part @ components.T, DECIMALS)
    return scores
