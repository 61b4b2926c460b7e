"""The nouns of the project. Open this first when lost; it imports nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from PIL import Image

Status = Literal["ok", "ambiguous", "none", "error"]
"""What reading one answer gave: one answer, several that disagree, nothing readable, or a failed
sample.
"""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares of a picture's width and height. `interventions` has an equal
alias of its own: it imports nothing of ours, and this package must not need it.
"""


Kind = Literal["text", "number", "list", "yesno", "formula"]
"""What a free answer is: words, a number, a list of numbers, yes or no, or a formula, in which
blanks do not count and letter case does.
"""


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The gold of a question without options."""

    answers: tuple[str, ...]  # any of these; ten people's answers where a consensus is asked
    kind: Kind = "text"
    precision: int | None = None  # decimals that count, of a number
    prior: tuple[str, ...] = ()  # what one says who goes by what is usual, not by the picture


Gold = int | Accepted
"""Index of the right option, or what is accepted where there are no options."""


def in_words(answer: Gold | str | None, options: Sequence[str]) -> str | None:
    """An answer, read or gold, as a person would say it."""
    if isinstance(answer, Accepted):
        return " | ".join(dict.fromkeys(answer.answers))
    return options[answer] if isinstance(answer, int) else answer


class LazyImage(Protocol):
    """An image that is decoded only when somebody looks at it."""

    @property
    def identity(self) -> str:
        """A stable name: images of equal identity have equal pixels (donors are drawn by it)."""

    @property
    def content(self) -> str | Path | Sequence[str | Path]:
        """What decides the pixels: words that say it all, the file whose bytes do, or several of
        these, in their order.
        """

    @property
    def regions(self) -> tuple[Box, ...]:
        """Boxes that matter for its question; none where nobody knows them.

        They belong to the picture, so that a condition that shows another picture shows its boxes,
        and one that moves or cuts what is in it, in an image of its own, has none.
        """

    def load(self) -> Image.Image:
        """The picture in RGB, transparency composited on white.

        Raises `OSError` when unreadable.
        """


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One question of a benchmark, before any prompt is written."""

    uid: str  # stable: benchmark/split/key, never a bare row number
    images: tuple[LazyImage, ...]  # in prompt order; empty for a text-only condition
    text: str  # the question alone
    options: tuple[str, ...]  # candidate answers as text, no letters; empty: the answer is free
    gold: Gold
    context: str | None = (
        None  # caption, hint or passage: separate, so that it can be dropped or replaced
    )
    groups: Mapping[str, str] = field(
        default_factory=dict
    )  # group kind -> key, for "all right" scores
    tags: Mapping[str, str] = field(default_factory=dict)  # slices of the table
    meta: Mapping[str, Any] = field(default_factory=dict)  # original columns worth keeping
    shown: Mapping[str, str] = field(default_factory=dict)  # what a condition did: `donor`, ...
    filler: tuple[str, ...] = ()  # parts of its texts that have nothing to do with the question
    noise: str | None = None  # seed of what takes the place of image embeddings; None: they stay
    later: tuple[LazyImage, ...] = ()  # shown in their place from an answer's second sentence on


class Condition(Protocol):
    """What the model is shown: a named view of the samples; `real` is the identity."""

    name: str
    intervention: Any  # a knockout before the cell's own, or another in its place; None keeps it

    def views(self, samples: Sequence[Sample]) -> list[Sample]:
        """The samples as shown, in the same order, with the same uid, options and gold.

        Without those for which the condition does not exist, a question without a fitting donor
        say. What was done stands in `Sample.shown`.

        A condition may also have `altered(model)`, a `with` block inside of which the model answers
        these samples, and `check(model)`, which raises where that cannot be.
        """


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What one sample becomes for a model: pictures and the user's text, no chat template yet."""

    uid: str
    images: tuple[Image.Image, ...]
    text: str
    regions: tuple[tuple[Box, ...], ...] = ()  # boxes of every image that matter, if known
    filler: tuple[str, ...] = ()  # parts of the text that have nothing to do with the question
    noise: str | None = None  # seed of what takes the place of image embeddings; None: they stay


class RefusedError(ValueError):
    """A model cannot be asked one prompt, or about its candidates, as they stand; one sentence.

    Raised before the model is run; the other prompts of the batch can be asked without this one.
    """

    def __init__(self, sentence: str, uid: str) -> None:
        super().__init__(sentence)
        self.uid = uid  # of the prompt


@dataclass(frozen=True, kw_only=True)
class CandidateScore:
    """How likely one candidate answer is, turn terminator included."""

    log_probability: float  # natural logarithm, summed over tokens in float32, not normalised
    tokens: int  # number of tokens summed


@dataclass(frozen=True, kw_only=True)
class VisualMass:
    """Share of attention that rows after the image give to it, per decoder layer, in [0, 1].

    None where a layer has no attention, or no row of it may see the image.
    """

    before: tuple[float | None, ...]  # under the learned scores
    after: tuple[float | None, ...]  # under the intervention


@dataclass(frozen=True, kw_only=True)
class VisualEntropy:
    """Entropy of the pattern over image tokens in these rows, per decoder layer, in nats.

    None for the layers that have no visual mass.
    """

    before: tuple[float | None, ...]  # of the learned pattern
    after: tuple[float | None, ...]  # under the intervention


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One answer: a line of `predictions.jsonl`. Nothing in it differs between two equal runs."""

    uid: str
    condition: str
    raw: str | None  # the generated text; None when candidates were ranked
    scores: (
        tuple[CandidateScore, ...] | None
    )  # one per option, in option order; None when generated
    parsed: int | str | None  # index of the option that was chosen, or the free answer as read
    gold: Gold
    status: Status
    credit: float  # in [0, 1]
    visual_mass: VisualMass | None  # None where no row saw an image
    cells_edited: int  # (layer, head, row, key) entries of this sample that were touched
    groups: Mapping[str, str]
    tags: Mapping[str, str]
    error: str | None = None  # one sentence, with status "error"
    visual_entropy: VisualEntropy | None = None  # None where no row saw an image, or in old files
    cells_by_phase: Mapping[str, int] | None = None  # prefill, decode; None in old files
    options: tuple[str, ...] | None = None  # of the sample; None in old files
    guessed: bool = False  # another harness's rule picked an answer that it could not read
    n_image_tokens: int | None = None  # in the prompt; None for failed samples and in old files
    blind_scores: tuple[CandidateScore, ...] | None = (
        None  # of the same candidates without any image and intervention, where they are subtracted
    )
    shown: Mapping[str, str] | None = None  # what the condition did; None: nothing
    thought: str | None = None  # before the generated text; None, and not stored, without thinking
    thought_tokens: int | None = None  # its length, likewise
    cut: bool | None = None  # a generated answer that ran into `max_new_tokens`; None in old files
    question: str | None = None  # of a free answer: its own numbers are none that was answered


@dataclass(frozen=True, kw_only=True)
class Response:
    """What a model says to one prompt."""

    answer: str  # without special tokens
    thought: str | None  # what it thought before; None where it does not think
    thought_tokens: int | None  # what opens and ends the thought not counted
    cut: bool  # it has all the tokens that it may have, and did not end by itself before
    begun: str | None = None  # the part of the answer that it was given; None: nothing


class Batch(Protocol):
    """Prompts as one model sees them: tokenised, padded, on the device. Opaque to everyone else."""

    uids: Sequence[str]
    image_tokens: Sequence[int]  # per prompt


class Lens(Protocol):
    """Which tokens are looked at, and what is measured of a decoder's updates on them."""

    def choose(self, uid: str, image: Any, width: int) -> Mapping[str, Any]:
        """Numbers of the chosen tokens (draw, token), by the name of a set of tokens.

        Args:
            uid: of the sample.
            image: (token,) of its prompt, padding removed: which are image tokens.
            width: of the decoder.
        """

    def measure(self, places: Sequence[tuple[str, str, int]], updates: Any) -> Mapping[str, Any]:
        """Numbers (entry,) of one layer, by name; an entry depends on its own states and place.

        Args:
            places: sample, set of tokens and number of the draw, of every entry.
            updates: `LayerUpdates` of interventions.looking.stream, tensors (entry, token, width).
        """

    def compare(self, before: Any, after: Any) -> Mapping[str, Any]:
        """Numbers (entry,) of one state held against another, tensors (entry, token, width)."""


class VLM(Protocol):
    """A checkpoint behind one interface, whatever its family."""

    name: str

    def encode(self, prompts: Sequence[Prompt]) -> Batch:
        """Tokenise and pad; one row per prompt. Raises `RefusedError`."""

    def rank(self, batch: Batch, candidates: Sequence[Sequence[str]]) -> list[list[CandidateScore]]:
        """Score every candidate answer of every prompt. Raises `RefusedError`."""

    def answers(self, batch: Batch, candidates: Sequence[Sequence[str]]) -> tuple[Any, Any]:
        """Log-probabilities of the next token and of every candidate, as tensors with gradients."""

    def respond(
        self,
        batch: Batch,
        max_new_tokens: int,
        begun: Sequence[Sequence[int]] | None = None,
    ) -> list[Response]:
        """Answer greedily, perhaps after a thought; or go on with an answer that was begun."""

    def begin(self, batch: Batch, max_new_tokens: int) -> list[list[int]]:
        """Answer, and what was said up to the end of the answer's first sentence, as tokens."""

    def intervene(
        self, intervention: Any, *, must_edit: bool = True
    ) -> AbstractContextManager[Any]:
        """Apply an intervention for the length of a `with` block; yields its log.

        Raises on leaving when nothing was edited, unless `must_edit` is False.
        """

    def capture(self, rows: int, intervention: Any = None) -> AbstractContextManager[Any]:
        """See where the last prompt rows look for the length of a `with` block, in which an
        intervention may be active.
        """

    def watch_shares(
        self, intervention: Any, *, must_edit: bool = True
    ) -> AbstractContextManager[Any]:
        """Intervene, and see how prompts share out their attention; yields a log of both."""

    def watch_states(self) -> AbstractContextManager[Any]:
        """See what the decoder holds of prompts; yields what gives it, by uid, when it is taken."""

    def watch_updates(self, lens: Lens) -> AbstractContextManager[Any]:
        """Measure what decoder layers add to the residual stream of prompts; yields what gives the
        numbers, by uid, when they are taken.
        """

    def other_weights(
        self, which: Literal["qkv", "ffn", "all"], *, seed: int, draw: Literal["own", "same"]
    ) -> AbstractContextManager[None]:
        """Answer with weights drawn anew for the length of a `with` block."""

    def check_weights(self, which: Literal["qkv", "ffn", "all"]) -> None:
        """Raise where these weights cannot be drawn anew, without drawing any."""

    def compare_rotation(self) -> AbstractContextManager[None]:
        """Inside of a `with` block, whoever watches updates measures attention with rotation
        against attention without in their place.
        """

    def appearance(self, batch: Batch) -> Any:
        """What the model gets of a batch of one prompt, for people to look at."""

    def provenance(self) -> dict[str, Any]:
        """Checkpoint, revision, dtype, device and processor settings, for the run's record."""


class Reading(Protocol):
    """What was read from an answer."""

    value: int | str | None  # index of the option, or the free answer
    status: Status
    guessed: bool  # only the rules of other harnesses guess where they can read nothing


class Benchmark(Protocol):
    """Where rows come from, how they are asked, read and scored."""

    name: str

    def samples(self) -> Sequence[Sample]:
        """All samples, in a fixed order that is independent of the machine."""

    def ranking(self) -> Benchmark:
        """The same questions, those with options answered by ranking them."""

    @property
    def skipped(self) -> int:
        """How many rows are left out because somebody said so or nothing can be made of them."""

    def provenance(self) -> Mapping[str, Any]:
        """Where the samples came from: revision, commit, fingerprint, as far as known."""

    def mode(self, sample: Sample) -> Literal["rank", "generate"]:
        """How a sample is answered: candidates are ranked, or text is generated."""

    @property
    def max_new_tokens(self) -> int:
        """Longest generated answer, in tokens."""

    def prompt(self, sample: Sample) -> str:
        """The user's text."""

    def candidates(self, sample: Sample) -> Sequence[str]:
        """The answers to rank, in option order."""

    @property
    def subtracts_blind(self) -> bool:
        """Whether candidates are also ranked without images, and those scores subtracted."""

    def choose(
        self,
        scores: Sequence[CandidateScore],
        sample: Sample,
        blind: Sequence[CandidateScore] | None,
    ) -> Reading:
        """The likeliest candidate. Raises `ValueError` when a score is not a number."""

    def parse(self, raw: str, sample: Sample) -> Reading:
        """What a generated answer says: an option, or a free answer."""

    def credit(self, reading: Reading, sample: Sample) -> float:
        """How right the answer is, in [0, 1]."""

    def score(self, predictions: Sequence[Prediction]) -> dict[str, dict[str, Any]]:
        """Named scores, each with value, low, high and n; one of them is `score`."""

    def check_scores(self, samples: Sequence[Sample]) -> None:
        """Raise `ValueError` where samples lack what a score is made of, a group or a tag."""

    def guessed(self, predictions: Sequence[Prediction]) -> float:
        """The `score` to expect of who guesses these questions, in [0, 1]."""

    def export(self, predictions: Sequence[Prediction], folder: Path) -> Sequence[Path]:
        """Write the predictions in formats of other people."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """How a test stands on cards, in tables and in figures; kept with what it found."""

    asks: str  # what it asks, in plain words
    number: str  # name of the metric that is judged
    unit: str
    neutral: float | None  # the number of a model that does not look; None: nobody knows
    place: int | None  # among the tests of a card; None: after those that have one, by name
    margin: float | None = None  # what the number is judged against; of a stored finding, its own


class Seen(Protocol):
    """What was seen of a cell under a test's conditions; each part is loaded when it is asked for.

    `solvent.diagnostics.base` has the class, and says what the parts are.
    """

    @property
    def answers(self) -> Any:
        """Scores of the options of every sample under every condition."""

    @property
    def scores(self) -> Any:
        """Decoder states on their principal components. Only of a test that watches `states`."""

    @property
    def shares(self) -> Mapping[str, Any]:
        """How attention was shared out, by condition. Only of a test that watches `shares`."""

    @property
    def updates(self) -> Mapping[str, Any]:
        """What was measured of updates, by condition. Only of a test that watches `updates`."""

    @property
    def pairs(self) -> Mapping[str, Sequence[Prediction]]:
        """Answers under conditions that show other samples. Only of a test that watches `pairs`."""

    @property
    def predictions(self) -> Mapping[str, Sequence[Prediction]]:
        """Answers as they were read, by condition. Only of a test that watches `predictions`."""


class Finding(Protocol):
    """What a test says about one cell: verdicts, the numbers behind them, what figures show."""

    @property
    def verdict(self) -> str:
        """PASS, FAIL, INCONCLUSIVE, VACUOUS, COUPLED, MEASURED, NOT APPLICABLE or ERROR."""

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Numbers by name, the judged one among them."""


class Diagnostic(Protocol):
    """A test of how the image is used: conditions, and what their answers say.

    `solvent.diagnostics.base.UsageTest` has neutral ones of what a test need not have.
    """

    name: str
    facts: Facts
    conditions: Sequence[str]  # that it needs, by name
    watches: Mapping[str, Sequence[str]]  # states, shares, ... -> conditions under which
    components: int  # that are kept of every state, where it watches states
    beside: Mapping[str, Mapping[str, str]]  # runs whose states it sets beside those of the cell

    @property
    def judged_against(self) -> float | None:
        """What the judged number has to exceed; None where nothing is."""

    def composed(self, known: Mapping[str, Condition]) -> Mapping[str, Condition]:
        """Conditions that it makes of those that are defined, by name."""

    def strata(self, answers: Any) -> Any:
        """Which samples' states are compared with which, where it watches states."""

    def lens(self, uids: Sequence[str], condition: str) -> Lens:
        """What is measured of updates, of which of these samples, where it watches updates."""

    def judge(self, seen: Seen) -> Finding:
        """What the paired answers say, or what was seen inside the model, or both."""

    def draw(self, axes: Any, finding: Mapping[str, Any]) -> None:
        """What is behind the verdict, on matplotlib's axes, from a finding as it is stored."""

    def draw_alone(self, figure: Any, finding: Mapping[str, Any]) -> bool:
        """Likewise on an empty figure, where one panel is not enough. False: there is none."""


class Followed(Protocol):
    """A cell, as a tracker follows it. Nothing here may fail the cell."""

    def progress(self, done: int, failed: int, doing: str) -> None:
        """Samples that are done, of these failed, and what is being done. Told every second."""

    def finish(
        self,
        *,
        metrics: Mapping[str, Any],
        predictions: Sequence[Prediction],
        samples: Sequence[Sample],
        figures: Sequence[Path],
        files: Sequence[Path],
    ) -> bool:
        """The result, and the files that it stands in; whether all of it was logged."""


class Tracking(Protocol):
    """Where else results go. The files of a cell are the record; a tracker is a mirror of them."""

    name: str

    def follow(
        self,
        *,
        identity: str,
        folder: Path,
        study: str,
        config: Mapping[str, Any],
        labels: Mapping[str, Any],
        provenance: Mapping[str, Any],
        total: int,
    ) -> AbstractContextManager[Followed]:
        """Follow a cell for the length of a `with` block."""

    def compared(
        self,
        *,
        study: str,
        folder: Path,
        tables: Mapping[str, Any],
        facts: Mapping[str, Any],
        page: Path | None,
        figures: Sequence[Path],
        files: Sequence[Path],
    ) -> bool:
        """Mirror a study's comparison; whether all of it was logged. Nothing here may fail it.

        Args:
            study: its name.
            folder: that the comparison's files lie in.
            tables: data frames by name; `arms` is one of them.
            facts: what else was decided: command, baseline, margin, provenance, remarks.
            page: HTML that shows everything.
            figures: pictures (PNG).
            files: all else that was written.
        """
