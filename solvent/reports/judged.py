"""What each test asks, and which of its numbers is judged."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Line:
    """How one test stands on the card."""

    asks: str  # what it asks, in plain words
    number: str  # the metric that is judged
    unit: str
    neutral: float  # value of a model that does not look


LINES = {
    "dependency": Line(
        asks="Does another image change the answer?",
        number="jsd_over_placebo_bits",
        unit="bits of change",
        neutral=0.0,
    ),
    "override": Line(
        asks="Does the image beat a false caption?",
        number="win_rate_eligible",
        unit="share of conflicts won",
        neutral=0.5,
    ),
    "consistency": Line(
        asks="Do text states take up the image?",
        number="gain_bits",
        unit="bits shared",
        neutral=0.0,
    ),
    "perturbation": Line(
        asks="Does hiding a quarter change the answer?",
        number="over_placebo",
        unit="total variation",
        neutral=0.0,
    ),
    "information": Line(
        asks="Does the image narrow the answer down?",
        number="entropy_gain_bits",
        unit="bits of entropy",
        neutral=0.0,
    ),
    "uncertainty": Line(
        asks="Is it surer with the image than without?",
        number="confidence_gain",
        unit="probability",
        neutral=0.0,
    ),
    "exchange": Line(
        asks="Is the image worth bits about the truth?",
        number="image_bits",
        unit="bits of the right answer",
        neutral=0.0,
    ),
    "budget": Line(
        asks="Does it hold on as the text grows?",
        number="dependency_slope_bits_between",
        unit="bits per doubling",
        neutral=0.0,
    ),
    "measures": Line(
        asks="Is it right more often with its own image?",
        number="perceptual_score",
        unit="accuracy gained",
        neutral=0.0,
    ),
    "interaction": Line(
        asks="Is it more than the sum of its parts?",
        number="accuracy_of_interaction",
        unit="accuracy gained",
        neutral=0.0,
    ),
}
