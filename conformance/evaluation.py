"""Can a family be evaluated? Its tiny checkpoint goes through all that a cell does with a model.

What is right comes from `oracle`, which knows transformers alone.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml
from PIL import Image
from torch import Tensor

from conformance.folders import UnwritableError, write
from conformance.marks import MARKS, marks_of
from conformance.observing import CheckError
from conformance.oracle import Oracle
from conformance.reasons import UNEVALUATED
from conformance.resuming import resumes
from conformance.vocabularies import VOCABULARIES
from interventions import InterventionError, load
from solvent.core.paths import CONF
from solvent.core.types import Prompt
from solvent.models.refusals import ModelError
from solvent.models.vlm import VLM
from solvent.models.vlm import load as load_model

HUB = CONF / "model" / "hub.yaml"
SIZES = ((336, 336), (1344, 896))  # width and height of the pictures whose tokens are counted
CANDIDATES = ("yes", "a red cat")
FOLDER = "solvent-conformance-"
TOLERANCE = 1e-5  # of a log-probability in nats, and of its size where that is above one
NEW = 6  # generated tokens


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is known about evaluating a family."""

    family: str
    reason: str | None = None  # why it is not evaluated; None when it is
    tokens: tuple[int, ...] = ()  # of one picture of each of `SIZES`
    backend: str = ""  # what its pictures are read with
    torchvision: str = ""  # its version, where pictures need it
    refused: str = ""  # why patterns over the picture's grid are refused, where they are

    @property
    def evaluated(self) -> bool:
        return self.reason is None


def picture(width: int, height: int, seed: int) -> Image.Image:
    """Coloured squares, no two pictures alike."""
    draw = np.random.default_rng(seed)
    squares = draw.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    return Image.fromarray(squares).resize((width, height), Image.Resampling.NEAREST)


PROMPTS = (  # one picture, none, two, one; wide and tall, in few tiles, so that rows are padded
    Prompt(uid="wide", images=(picture(448, 224, 1),), text="Is there a cat?"),
    Prompt(uid="none", images=(), text="Is snow white, or not?"),
    Prompt(uid="two", images=(picture(224, 448, 2), picture(448, 224, 3)), text="The same?"),
    Prompt(uid="tall", images=(picture(224, 448, 4),), text="How many dogs are there? None?"),
)


@dataclass(eq=False)
class Case:
    """A checkpoint, loaded by us and by plain transformers."""

    vlm: VLM
    oracle: Oracle
    settings: Mapping[str, Any]
    notes: dict[str, Any] = field(default_factory=dict)

    def plain(self, prompt: Prompt) -> dict[str, Tensor]:
        """Arguments of the model's forward for one prompt, by the folder's own processor."""
        text = self.oracle.prompt(prompt.text, len(prompt.images))
        return self.oracle.inputs([text], [prompt.images])

    @cached_property
    def inputs(self) -> dict[str, dict[str, Tensor]]:
        return {prompt.uid: self.plain(prompt) for prompt in PROMPTS}

    @cached_property
    def scores(self) -> dict[str, list[float]]:
        """Of every candidate of every prompt, by one forward each."""
        batch = self.vlm.encode(PROMPTS)
        found: dict[str, list[float]] = {uid: [] for uid in batch.uids}
        for uid, text, ids in zip(batch.uids, batch.texts, batch.token_ids, strict=True):
            for candidate in CANDIDATES:
                tokens = self.vlm.chat.answer_tokens(uid, text, ids, candidate)
                found[uid].append(self.oracle.score(self.inputs[uid], tokens))
        return found

    def ranked(self, vlm: VLM, prompts: Sequence[Prompt]) -> dict[str, list[float]]:
        scores = vlm.rank(vlm.encode(prompts), [CANDIDATES] * len(prompts))
        rows = zip(prompts, scores, strict=True)
        return {prompt.uid: [one.log_probability for one in row] for prompt, row in rows}

    def compare(self, vlm: VLM, prompts: Sequence[Prompt], where: str) -> None:
        for uid, row in self.ranked(vlm, prompts).items():
            for answer, ours, right in zip(CANDIDATES, row, self.scores[uid], strict=True):
                if not abs(ours - right) <= TOLERANCE * max(1.0, abs(right)):
                    raise CheckError(
                        f"Ranking {where} gives {answer!r} after the prompt {uid!r} a "
                        f"log-probability of {ours:.6f}, and one plain forward {right:.6f}."
                    )


def encodes(case: Case) -> None:
    """Every row of a mixed batch is read as the folder's own processor reads it alone."""
    batch = case.vlm.encode(PROMPTS)
    ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"].bool()
    for row, prompt in enumerate(PROMPTS):
        same_ids(case, prompt, ids[row][mask[row]].tolist())
    tokens = []
    for width, height in SIZES:
        one = Prompt(uid="one", images=(picture(width, height, 5),), text="Well?")
        encoded = case.vlm.encode([one])
        same_ids(case, one, encoded.inputs["input_ids"][0].tolist())
        tokens.append(encoded.image_tokens[0])
    case.notes["tokens"] = tuple(tokens)


def same_ids(case: Case, prompt: Prompt, ours: list[int]) -> None:
    (right,) = case.plain(prompt)["input_ids"].tolist()
    if ours != right:
        place = next(
            (
                place
                for place, pair in enumerate(zip(ours, right, strict=False))
                if len({*pair}) > 1
            ),
            min(len(ours), len(right)),
        )
        raise CheckError(
            f"The prompt {prompt.uid!r} is read as {len(ours)} tokens and by the plain processor "
            f"as {len(right)}; they part at token {place}."
        )


def ranks(case: Case) -> None:
    """Candidates score what one uncached forward each gives, in batches of one and padded."""
    for prompt in PROMPTS:
        case.compare(case.vlm, [prompt], "alone")
    case.compare(case.vlm, PROMPTS, "in a padded batch")


def generates(case: Case) -> None:
    """Answers are those of transformers' own greedy search, alone and in a padded batch."""
    right = {
        uid: case.oracle.decode(case.oracle.greedy(inputs, NEW))[0]
        for uid, inputs in case.inputs.items()
    }
    for prompts in (*([prompt] for prompt in PROMPTS), PROMPTS):
        ours = case.vlm.generate(case.vlm.encode(prompts), NEW)
        for prompt, answer in zip(prompts, ours, strict=True):
            if answer != right[prompt.uid]:
                raise CheckError(
                    f"The answer to {prompt.uid!r} in a batch of {len(prompts)} is {answer!r}, and "
                    f"by transformers' own generate {right[prompt.uid]!r}."
                )


def intervenes(case: Case) -> None:
    """`uniform` and `knockout` edit and change scores, and leave nothing behind."""
    shown = [prompt for prompt in PROMPTS if len(prompt.images) == 1]
    plain = case.ranked(case.vlm, shown)
    for name in ("uniform", "knockout"):
        edited(case, name, shown, plain)
    try:
        edited(case, "fixed_center", shown, plain)
    except InterventionError as refused:
        case.notes["refused"] = " ".join(str(refused).split())
    if case.ranked(case.vlm, shown) != plain:
        raise CheckError("An intervention that has been left still changes scores.")


def edited(
    case: Case, name: str, prompts: Sequence[Prompt], plain: Mapping[str, Sequence[float]]
) -> None:
    with case.vlm.intervene(load(name)) as log:
        changed = case.ranked(case.vlm, prompts)
    if not log.entries_edited:
        raise CheckError(f"`{name}` edits nothing.")
    unchanged = [uid for uid, row in changed.items() if row == plain[uid]]
    if unchanged or not np.isfinite([*changed.values()]).all():
        raise CheckError(f"`{name}` leaves the scores of {unchanged} as they are, or not finite.")


def places(case: Case) -> None:
    """Marks painted into pictures change the tokens that are said to show them."""
    if "refused" in case.notes:
        return
    for found in marks_of(case.oracle):
        if not found.placed:
            width, height = found.size
            raise CheckError(
                f"Of {MARKS} marks painted into a picture of {width} x {height} pixels, "
                f"{found.hits} are found at tokens that are said to show them."
            )


def caches(case: Case) -> None:
    """With image features kept, scores are those from pixels: when they are kept, and after."""
    cached = load_model(**{**case.settings, "feature_cache_mb": 64})
    case.compare(cached, PROMPTS, "with features just cached")
    case.compare(cached, PROMPTS[:1:-1], "with features from the cache")


def goes_on(case: Case) -> None:
    """A cell that is interrupted and run again is the cell of a run that nothing disturbed."""
    resumes(case.settings)


CHECKS: Mapping[str, Callable[[Case], None]] = {
    "encode": encodes,
    "rank": ranks,
    "generate": generates,
    "interventions": intervenes,
    "places": places,
    "feature cache": caches,
    "resume": goes_on,
}


@contextmanager
def loaded(family: str) -> Iterator[Case]:
    """The family's tiny checkpoint, written and loaded."""
    with TemporaryDirectory(prefix=FOLDER) as made:
        place = Path(made)
        backend = write(family, place)
        settings = {
            **yaml.safe_load(HUB.read_text(encoding="utf-8")),
            "name": family,
            "checkpoint": str(place),
            "dtype": "float32",
            "device": "cpu",
            "image_backend": backend,
            "chat_template": None if VOCABULARIES[family].turns.chats else "plain",
            "feature_cache_mb": 0,
        }
        del settings["_target_"]
        try:
            vlm = load_model(**settings)
        except ModelError as refused:
            if "model.attention=eager" not in str(refused):
                raise
            settings["attention"] = "eager"
            vlm = load_model(**settings)
        yield Case(vlm, Oracle(place, backend), settings)


def evaluate(family: str, checks: Sequence[str] = tuple(CHECKS)) -> Evaluation:
    """Write the family's checkpoint and run the checks on it; the first failure is the verdict."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with loaded(family) as case:
                for name in checks:
                    CHECKS[name](case)
                backend = case.settings["image_backend"]
                return Evaluation(
                    family=family,
                    backend=backend,
                    torchvision="" if backend == "pil" else version("torchvision"),
                    tokens=case.notes.get("tokens", ()),
                    refused=case.notes.get("refused", ""),
                )
    except (CheckError, InterventionError, UnwritableError, ModelError) as refusal:
        reason = str(refusal)
    except Exception as error:  # one broken family must not hide the others
        reason = f"{type(error).__name__}: {str(error)[:200] or 'no message'}"
    reason = re.sub(rf"'[^']*{FOLDER}[^']*'", "its folder", " ".join(reason.split()))
    return Evaluation(family=family, reason=UNEVALUATED.get(family, reason))
