"""What other harnesses read in answers of ours, and in all answers that were put to them.

The readings in the tables are what the peers' own functions gave: lmms-eval at its commit 75571cf,
VLMEvalKit at e8e78f0, MMMU's script at 44b45b5.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from solvent.benchmarks.compat.lmms_eval import (
    FirstCharacter,
    LetterAmongMarks,
    OrderedLetter,
    SameButForPeriod,
    SharedLetter,
)
from solvent.benchmarks.compat.official import HashedPick, MmmuContains, MmmuLetter, MmmuOpen
from solvent.benchmarks.compat.profile import Compat
from solvent.benchmarks.compat.vlmevalkit import InferredLetter, OneOfYesNo, VmcLetter
from solvent.benchmarks.parsers import Parser
from solvent.core.paths import CONF
from solvent.core.types import Accepted

OPTIONS = ("lake", "barn", "red barn", "a dam")

# Answer; what lmms-eval reads by its shared rule and for 3DSRBench, SEED-Bench and AI2D, VLMEvalKit
# by its general rule and for VMCBench, and MMMU's script; "-": nothing, "?": picked at random.
LETTERS = [
    ("B. barn", "BBBBBB?"),
    ("B) barn", "BBB-B??"),
    ("[B]", "BB-BB??"),
    ("_b_", "---B-??"),
    ("b.", "--BB-??"),
    ("B ", "BBB-BBB"),
    ("\tB", "BBB-B??"),
    ("Choice D", "DDC-DDD"),
    ("d", "--DD-??"),
    ("dam", "--D--??"),
    ("The right choice is d", "-----??"),
    ("My choice is C. Not D.", "DC---CD"),
    ("Answer D", "DDA-DDD"),
    ("answer: d", "--A--??"),
    ("Answer is **D**, since water stands behind it and nothing else here does that", "DDA-D??"),
    ("The answer is dark", "----D??"),
    ("The answer is *C*", "CC--C??"),
    ("The answer is  c", "----C??"),
    ("Z", "-----??"),
    ("Z, the answer is B", "BB--BBB"),
    ("Either Z or B", "BB--BBB"),
    ("A barn, I would say, so B it is", "AAA-BBB"),
    ("C, as the barn in the picture is red and large", "CCC--BB"),
    ("It is (B), rather than (C)", "CB---CC"),
    ("It is (C). (B) is not red. (D) neither", "DC---DD"),
    ("B. seems right, D. does not", "BBBB-B?"),
    ("I cannot see any lake at all in this picture", "-----AA"),
    ("There is a red barn by the water there", "-----BB"),
    ("barn", "--B-B??"),
    ("Cannot determine the answer, maybe B", "BBC--BB"),
    ("Failed to obtain answer via API", "A----??"),
    ("Failed to obtain answer via API, barn", "A---BBB"),
    ("(A) or (E)", "AA--AAA"),
    ("E.", "-----??"),
    ("ABD", "D-A--??"),
    ("Figure D", "DD--DDD"),
    ("Answer:\nD", "DDA-D??"),
    ("So I pick D.", "DD--DDD"),
    ("(B)? 答案为C哦", "CB--BBB"),
    ("정답은 C", "CC--CCC"),
    ("(A)(B)(C)(D)", "DA---DD"),
    ("After all, the answer is the barn. B", "BBA-BBB"),
    ("Not D; A? No: C", "CD---CC"),
    ("x=B", "BB---??"),
    ("'D'", "DD-D-DD"),
    ("D。", "DDD--??"),
    ("The answer is D or maybe A if the lake is larger than it seems to be here", "AD--DAA"),
]


@pytest.mark.parametrize(("raw", "expected"), LETTERS)
def test_letters_of_peers(raw: str, expected: str) -> None:
    pick = HashedPick(seed=42)
    parsers: tuple[Parser, ...] = (
        *(SharedLetter(), OrderedLetter(), FirstCharacter(), LetterAmongMarks(), InferredLetter()),
        *(VmcLetter(pick=pick), MmmuLetter(pick=pick)),
    )
    assert "".join(_letter(parser, raw, OPTIONS) for parser in parsers) == expected


def _letter(parser: Parser, raw: str, options: Sequence[str]) -> str:
    read = parser(raw, options)
    assert (read.value is None) == (read.status == "none")
    return "-" if read.value is None else "?" if read.guessed else "ABCDEF"[int(read.value)]


def test_a_letter_beyond_the_options_is_no_answer() -> None:
    for parser in (SharedLetter(), OrderedLetter(), FirstCharacter(), LetterAmongMarks()):
        assert _letter(parser, "C", OPTIONS[:2]) == "-"
        assert _letter(parser, "C", OPTIONS[:3]) == "C"
    # It takes the place of an earlier letter of an option where it is looked for.
    assert _letter(SharedLetter(), "(B) or (D)", OPTIONS[:2]) == "-"
    assert _letter(InferredLetter(), "(B) or (D)", OPTIONS[:2]) == "B"


YES_NO = [
    ("Yes!", "y"),
    ("__no__", "n"),
    ("~no~", "-"),
    ("Yes.And no", "n"),
    ("Yes. And more", "y"),
    ("(yes)", "y"),
    ("yes,sir", "y"),
    ("no-one", "n"),
    ("no - one", "n"),
    ("Yes, 1,200 of them", "y"),
    ("1,200-no", "-"),
    ("yes/no", "-"),
    ("No…", "-"),
    ("*Yes*", "-"),
    ("no no", "n"),
    ("it's a no", "n"),
]


@pytest.mark.parametrize(("raw", "expected"), YES_NO)
def test_yes_and_no_of_vlmevalkit(raw: str, expected: str) -> None:
    read = OneOfYesNo()(raw, ("yes", "no")).value
    assert ("-" if read is None else "yn"[int(read)]) == expected


OPEN = [  # answer, gold answer, credit
    ("It is 3d", "3", 0),
    ("It is h2", "2", 1),
    ("about 12 cm", "12", 1),
    ("1,200 of them", "1200", 1),
    ("1,200 of them", "200", 1),
    ("1200,5", "5", 1),
    ("x = 4.128", "4.13", 1),
    ("2e3", "2000", 1),
    ("-.5", "-0.5", 1),
    ("the result is 7\nso it is red", "7", 1),
    ("a=b\nred", "b", 0),
    ("a\nb=c", "c", 1),
    ("it is so ", "so", 1),
    ("nan", "nan", 0),
    ("the answer is a b", "a", 1),
    ("result is final answer 5", "5", 1),
    ("5th", "5", 0),
    ("so x is ", "x", 1),
    ("it is\nred barn", "red", 1),
    ("red\nbarn", "red barn", 0),
    ("red\nbarn", "red\nbarn", 1),
]


@pytest.mark.parametrize(("raw", "answer", "credit"), OPEN)
def test_open_answers_of_mmmu(raw: str, answer: str, credit: int) -> None:
    gold = Accepted(answers=(answer,))
    assert MmmuContains()(str(MmmuOpen()(raw, gold, "").value), gold) == credit


@pytest.mark.parametrize(
    ("value", "credit"), [("downhill.", 1), ("DOWNHILL..", 1), ("Downhill!", 0), ("2", 0)]
)
def test_words_of_realworldqa(value: str, credit: int) -> None:
    assert SameButForPeriod()(value, Accepted(answers=("Downhill",))) == credit


def test_all_answers_that_were_put_to_the_peers(published: Path) -> None:
    file = published.parent / "trials" / "compat_cases.jsonl"
    if not file.exists():
        pytest.skip(f"{file} is absent")
    profiles: dict[str, Compat] = {
        name: instantiate(OmegaConf.load(CONF / "compat" / f"{name}.yaml"))
        for name in ("lmms_eval", "vlmevalkit", "official")
    }
    sets = {"choice": "mmstar", "yesno": "pope"}  # the cases name the kind
    cases = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(cases) == 514
    wrong = []
    for case in cases:
        name, _, kind = case["profile"].partition(".")
        rules = profiles[name].rules[sets.get(kind, kind)]
        if rules.parser(case["response"], case["options"]).value != case["peer_reads"]:
            wrong.append(case)
    assert not wrong
