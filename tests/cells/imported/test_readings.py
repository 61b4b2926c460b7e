"""Two published sets of real models' answers give the published numbers, and docs/imported.md says
what our commands make of them. Skipped where the files are not there.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from matplotlib.figure import Figure

from solvent import results
from solvent.cells.imported.importing import import_answers
from solvent.cells.request import resolved
from solvent.core import paths
from solvent.core.paths import CONF
from tests.comparison_of import comparison_of
from tests.conftest import ROOT

DATA = paths.resolve(os.environ.get("SOLVENT_DATA", "../shared/data"))
PAGE = (ROOT / "docs/imported.md").read_text(encoding="utf-8")
MODELS = {"llava_1_5_7b": "LLaVA-1.5-7B", "gpt_4_1_mini": "GPT-4.1-mini"}
TEXTS = ("contradicting", "irrelevant", "supporting")
Found = Mapping[str, Any]

pytestmark = [
    pytest.mark.xdist_group("readings"),  # all read the same cells
    pytest.mark.skipif(
        not ((DATA / "blind_faith").is_dir() and (DATA / "cd_rethink").is_dir()),
        reason="saved answers of blind-faith-in-text and cd_rethink are not in SOLVENT_DATA",
    ),
]


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the commands of the page make."""
    place = tmp_path_factory.mktemp("readings")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOLVENT_DATA", str(DATA))
        patch.setattr(Figure, "savefig", lambda figure, path, **settings: Path(path).touch())
        patch.setattr(Figure, "tight_layout", lambda figure: None)
        imported(place, "import=blind_faith", "study=text")
        for subset in ("random", "popular"):
            imported(place, "import=cd_rethink", f"import.subset={subset}", "study=decoding")
        yield place


def imported(place: Path, *overrides: str) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        import_answers(resolved(compose("import", [f"output={place}", *overrides])))


@pytest.fixture(scope="module")
def findings(output: Path) -> dict[str, dict[str, Found]]:
    """Model -> text -> numbers."""
    return {
        path.parents[2].parent.name: {
            name: finding["metrics"] for name, finding in json.loads(path.read_text()).items()
        }
        for path in output.glob("text/*/*/*/diagnostics/findings.json")
    }


@pytest.fixture(scope="module")
def metrics(output: Path) -> dict[tuple[str, str], Found]:
    """Subset and decoding -> metrics."""
    found = (json.loads(path.read_text()) for path in output.glob("decoding/*/*/*/metrics.json"))
    return {(each["benchmark"], each["intervention"]): each for each in found}


@pytest.fixture(scope="module")
def differences(output: Path) -> dict[str, Found]:
    """Subset -> greedy minus sampled."""
    frame = comparison_of(output, "decoding", "sampled").arms
    return frame[frame.intervention == "greedy"].set_index("benchmark").to_dict("index")


@pytest.mark.parametrize(
    ("model", "text_preference", "image", "beside", "alone"),
    [  # d-ailin/blind-faith-in-text at 4208bfb; equal but for case and outer punctuation
        ("llava_1_5_7b", 0.8239, 0.627, (0.143, 0.628, 0.889), (0.029, 0.282, 0.884)),
        ("gpt_4_1_mini", 0.2783, 0.404, (0.384, 0.464, 0.536), (0.031, 0.171, 0.653)),
    ],
)
def test_text_preference_is_as_published(
    model: str,
    text_preference: float,
    image: float,
    beside: tuple[float, ...],
    alone: tuple[float, ...],
    findings: dict[str, dict[str, Found]],
) -> None:
    found = findings[model]
    value = found["contradicting"]["text_preference_all"]["value"]
    assert round(value, 4) == text_preference
    assert {round(found[text]["accuracy_image"]["value"], 6) for text in TEXTS} == {image}
    for name, expected in (("accuracy_both", beside), ("accuracy_text", alone)):
        values = [round(found[text][name]["value"], 6) for text in TEXTS]
        assert values == pytest.approx(expected)


@pytest.mark.parametrize(
    ("subset", "decoding", "accuracy", "f1"),
    [  # ustc-hyin/cd_rethink
        ("random", "greedy", 0.8700, 0.8550),
        ("popular", "greedy", 0.8590, 0.8447),
        ("random", "sampled", 0.8363, 0.8167),
        ("popular", "sampled", 0.8173, 0.7969),
    ],
)
def test_pope_is_as_published(
    subset: str, decoding: str, accuracy: float, f1: float, metrics: dict[tuple[str, str], Found]
) -> None:
    found = metrics[f"pope_{subset}", decoding]
    assert round(found["score"]["value"], 4) == accuracy
    assert round(found["scores"]["detection"]["value"], 4) == f1
    assert (found["score"]["n"], found["unparsed"], found["errors"]) == (3000, 0, 0)


def test_what_sampling_costs_is_as_published(differences: dict[str, Found]) -> None:
    points = {name: round(100 * row["difference_value"], 1) for name, row in differences.items()}
    assert points == {"pope_random": 3.4, "pope_popular": 4.2}
    discordant = {name: round(row["discordant"], 3) for name, row in differences.items()}
    assert discordant == {"pope_random": 0.083, "pope_popular": 0.096}
    assert {row["clusters"] for row in differences.values()} == {500}


def test_sampling_is_worse_than_greedy_at_the_registered_margin(output: Path) -> None:
    """Differences from the published accuracies; 3,000 questions, 500 pictures."""
    arms = comparison_of(output, "decoding", "greedy").arms.query("role != 'control'")
    found = arms.set_index("benchmark").to_dict("index")
    for subset, published in (("random", 0.8363 - 0.8700), ("popular", 0.8173 - 0.8590)):
        arm = found[f"pope_{subset}"]
        assert arm["difference_value"] == pytest.approx(published, abs=1e-4)
        assert (arm["margin"], arm["verdict"]) == (0.02, "WORSE")
        assert arm["difference_high"] < -0.02
        assert arm["sentence"].endswith("worse than greedy by more than the margin of 2.0 points.")
        assert arm["p"] < 1e-6
        assert arm["n"] * arm["discordant"] == pytest.approx(arm["gained"] + arm["lost"])


def test_conditions_of_saved_answers_are_arms(output: Path) -> None:
    """Texts beside the picture, and in its place, against the picture alone."""
    plan = ("conditions=all", "positive_controls=[irrelevant_alone]", "primary=[irrelevant]")
    arms = comparison_of(output, "text", "greedy", *plan).arms
    llava = arms[arms["model"] == "llava_1_5_7b"].set_index("condition")
    assert len(llava) == 7
    expected = {"contradicting": 0.143, "irrelevant": 0.628, "supporting": 0.889,
                "contradicting_alone": 0.029, "irrelevant_alone": 0.282,
                "supporting_alone": 0.884}  # fmt: skip
    for condition, accuracy in expected.items():
        assert llava.loc[condition, "difference_value"] == pytest.approx(accuracy - 0.627)
    verdicts = llava["verdict"].dropna().to_dict()
    assert verdicts == {
        "contradicting": "WORSE",
        "contradicting_alone": "WORSE",
        "irrelevant": "EQUIVALENT",  # .1 points, and without a picture 34 are lost
        "irrelevant_alone": "WORSE",
        "supporting": "BETTER",
        "supporting_alone": "BETTER",
    }
    assert llava.loc["irrelevant_alone", "role"] == "positive control"


def test_all_answers_stand_in_frames(output: Path) -> None:
    frame = results.samples(output / "text")
    assert len(frame) == 2 * 7 * 1000
    assert set(frame.imported) == {"blind_faith"}
    assert frame.groupby(["model", "condition"]).uid.nunique().eq(1000).all()


def test_the_page_has_the_numbers(
    findings: dict[str, dict[str, Found]],
    metrics: dict[tuple[str, str], Found],
    differences: dict[str, Found],
) -> None:
    wanted = [
        *accuracies(findings),
        *conflicts(findings, "all"),
        *conflicts(findings, "eligible"),
        *decoded(metrics, differences),
    ]
    lines = re.findall(r"^\| .*\|$", PAGE, flags=re.MULTILINE)
    for line in wanted:
        assert line in lines
    text = " ".join(PAGE.split())
    for sentence in said(findings):
        assert sentence in text


def said(findings: dict[str, dict[str, Found]]) -> Iterator[str]:
    """Numbers in sentences."""
    llava, gpt = (
        [
            f"{100 * findings[model]['contradicting'][f'text_preference_{rows}']['value']:.0f} %"
            for rows in ("all", "eligible")
        ]
        for model in MODELS
    )
    yield f"contradicts the picture in {llava[0]} of the conflicts, and in {llava[1]} of those"
    yield f"GPT-4.1-mini in {gpt[0]} and {gpt[1]}."
    beside = findings["llava_1_5_7b"]["irrelevant"]
    blind, seeing = (f"{100 * beside[f'accuracy_{x}']['value']:.0f} %" for x in ("text", "both"))
    yield f"beside an irrelevant text the picture takes it from {blind} to {seeing} right"


def accuracies(findings: dict[str, dict[str, Found]]) -> Iterator[str]:
    for model, name in MODELS.items():
        found = findings[model]
        cells = [
            found[TEXTS[0]]["accuracy_image"],
            *(found[text]["accuracy_both"] for text in TEXTS),
            *(found[text]["accuracy_text"] for text in TEXTS),
        ]
        yield f"| {name} | {' | '.join(map(percent, cells))} |"


def conflicts(findings: dict[str, dict[str, Found]], rows: str) -> Iterator[str]:
    count = {"all": "conflicts", "eligible": "eligible"}[rows]
    for model, name in MODELS.items():
        for text in TEXTS if rows == "all" else TEXTS[:1]:
            found = findings[model][text]
            cells = [
                *(str(found[key]) for key in (count, f"text_{rows}", f"image_{rows}")),
                percent(found[f"text_preference_{rows}"]),
                percent(found[f"third_answer_rate_{rows}"]),
            ]
            yield f"| {name} | {text} | {' | '.join(cells)} |"


def decoded(metrics: dict[tuple[str, str], Found], differences: dict[str, Found]) -> Iterator[str]:
    for subset in ("random", "popular"):
        name = f"pope_{subset}"
        for decoding in ("greedy", "sampled"):
            found = metrics[name, decoding]
            scores = (found["score"], found["scores"]["detection"])
            yield f"| {subset} | {decoding} | {' | '.join(map(percent, scores))} |"
        row = {key.removeprefix("difference_"): each for key, each in differences[name].items()}
        low, value, high = (f"{100 * row[key]:+.1f}" for key in ("low", "value", "high"))
        yield (
            f"| {subset} | **{value}** [{low}, {high}] | {100 * row['discordant']:.1f} % "
            f"| {row['p']:.0e} |"
        )


def percent(estimate: Found) -> str:
    value, low, high = (100 * estimate[key] for key in ("value", "low", "high"))
    return f"**{value:.1f}** [{low:.1f}, {high:.1f}]"
