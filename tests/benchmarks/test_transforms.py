"""Columns as sets store them, and what transforms make of them."""

from __future__ import annotations

from typing import Any

import pytest

from solvent.benchmarks.sample import Columns, value_of
from solvent.core.types import Accepted

VALUES = [
    ("abcd1234-flip-2", {"as": "replaced", "words": {"-flip": ""}}, "abcd1234-2"),
    ("abcd1234-flip-2", {"as": "matched", "pattern": "^.{8}(?:-flip)?"}, "abcd1234-flip"),
    ("a/mug_left_of_box.png", {"as": "matched", "pattern": r"/([^_]+)_.*_(\w+)\."}, "mug/box"),
    ("2", {"as": "block", "size": 2, "first": 1}, "0"),
    (3, {"as": "block", "size": 2, "first": 1}, "1"),
    ("3000241", {"as": "modulo", "divisor": 1000000}, "241"),
    (None, {"as": "or_else", "other": ["A", "B"]}, ["A", "B"]),
    (["x"], {"as": "or_else", "other": ["A", "B"]}, ["x"]),
    (["x", "y", "z"], {"as": "lettered"}, ["A", "B", "C"]),
    (1, {"as": "looked_up", "table": {"1": "yes", "0": "no"}}, "yes"),
    ("x", {"as": "looked_up", "table": {"y": "1", "*": "2"}}, "2"),
    ("GQA", {"as": "member", "of": {"a": ["OCR"], "b": ["MMMU", "GQA"]}}, "b"),
    ({"task": "t"}, {"as": "field", "name": "task"}, "t"),
    ([{"answer": "x"}, {"answer": "y"}], {"as": "field", "name": "answer"}, ["x", "y"]),
    (["no", "yes", "no"], {"as": "distinct"}, ["no", "yes"]),
    (None, {"as": "distinct"}, []),
    ("Is it?  Say yes.", {"as": "without_end", "endings": ["Or no.", "Say yes."]}, "Is it?"),
    ("Say yes. Is it?", {"as": "without_end", "endings": ["Say yes."]}, "Say yes. Is it?"),
    ("['a', 'b']", {"as": "text_or_list"}, ["a", "b"]),
    ("[0, 1)", {"as": "text_or_list"}, "[0, 1)"),
    ("B", {"as": "text_or_list"}, "B"),
    ("<image 1> or <image 12>", {"as": "image_markers"}, "<image:1> or <image:12>"),
    (["<image 1>", 2], {"as": "image_markers"}, ["<image:1>", "2"]),
    ("<image> or <image>", {"as": "image_markers"}, "<image:1> or <image:2>"),
    (
        ["<image>", "<image> <image>"],
        {"as": "image_markers", "after": "a <image> in text"},
        ["<image:2>", "<image:3> <image:4>"],
    ),
    ("<image 2> but <image>", {"as": "image_markers"}, "<image:2> but <image>"),
    ("nan", {"missing": ["nan"]}, None),
    ("NaN", {"missing": ["nan"]}, None),
    ("nan", {"missing": ["NaN"]}, None),
    ("none", {"missing": ["None"]}, "none"),
]


@pytest.mark.parametrize(("value", "spec", "wanted"), VALUES)
def test_a_transform_gives(value: Any, spec: dict[str, Any], wanted: Any) -> None:
    assert value_of({"from": "column"} | spec, {"column": value}) == wanted


EMBEDDED = [
    ("inline", "Q?\nOptions: A: a, b, B: 1:2, C: c.", "Q?", ["a, b", "1:2", "c."]),
    ("inline", "Q A: what?\nOptions: A: x, B: y", "Q A: what?", ["x", "y"]),
    ("inline", "Q?\nOptions:\nA: x\nB: y", "Q?", ["x", "y"]),
    ("inline", "Q without any", "Q without any", []),
    ("lines", "Q?\n\nA. x\nB. y\nSay the letter.", "Q?", ["x", "y"]),
    ("lines", "Q?\r\n(A) x y\r\n(B) z", "Q?", ["x y", "z"]),
    ("lines", "Q?\nA. x\nC. y", "Q?\nA. x\nC. y", []),
    ("lines", "Q?\nA) x\n B) y\nC) z", "Q?", ["x", "y", "z"]),
    ("lines", "Is vitamin A. B. good?", "Is vitamin A. B. good?", []),
    ("lines", "Q?\n(A) x\n(B)y\n(C)\n", "Q?", ["x", "y"]),
    ("headed", "Q?\nOptions: A: x, B: y", "Q?", ["x", "y"]),
    ("headed", "Points A: 1, B: 2?", "Points A: 1, B: 2?", []),
    (["headed", "lines"], "Is A: 1, B: 2?\n(A) x\n(B) y\nSay it.", "Is A: 1, B: 2?", ["x", "y"]),
    (["headed", "lines"], "Q?\n(A) 1\n(B) 2\nOptions: A: x, B: y", "Q?\n(A) 1\n(B) 2", ["x", "y"]),
    (["headed", "lines"], "Q?", "Q?", []),
    ("brackets", "(a) Open (b) Closed", "", ["Open", "Closed"]),
    ("brackets", "Q? (A) f(a) (B) g (b) (C) h", "Q?", ["f(a)", "g (b)", "h"]),
]


@pytest.mark.parametrize(("style", "text", "question", "options"), EMBEDDED)
def test_options_inside_a_text_are_told_from_it(
    style: str | list[str], text: str, question: str, options: list[str]
) -> None:
    row, of = {"column": text}, {"from": "column", "style": style}
    assert value_of(of | {"as": "before_options"}, row) == question
    assert value_of(of | {"as": "embedded_options"}, row) == options


REFUSED = [
    ("abc", {"as": "matched", "pattern": "^x"}, r"'abc' does not match"),
    ("yess", {"as": "looked_up", "table": {"yes": 1}}, "'yess' is in no line .*'yes'"),
    ("GQ", {"as": "member", "of": {"a": ["GQA"]}}, "'GQ' is in none of the lists; .*'GQA'"),
    ({"tasks": 1}, {"as": "field", "name": "task"}, "no field 'task'; did you mean 'tasks'"),
    ("x", {"as": "embedded_options", "style": "line"}, "style of options 'line'; .*'lines'"),
]


@pytest.mark.parametrize(("value", "spec", "message"), REFUSED)
def test_a_value_that_does_not_fit_is_refused(
    value: Any, spec: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        value_of({"from": "column"} | spec, {"column": value})


def test_cells_chain_and_names_may_be_templates() -> None:
    row = {"shown": 1, "image_1": "x", "list": "['<image 1>', 'b']"}
    assert value_of({"from": "image_{shown}"}, row) == "x"
    chained = {"from": {"from": "list", "as": "literal_list"}, "as": "image_markers"}
    assert value_of(chained, row) == ["<image:1>", "b"]
    with pytest.raises(ValueError, match="no column 'image_2'; did you mean 'image_1'"):
        value_of({"from": "image_{shown}"}, row | {"shown": 2})


def free(row: dict[str, Any], **gold: Any) -> Any:
    mapping = Columns(
        uid="t",
        images=[],
        text="q",
        context=None,
        options={"from": "options"},
        gold={"from": "answer", "as": "letter", **gold},
        groups={},
        tags={},
        meta={},
    )
    return mapping.build(row, lambda value: value)


def test_options_go_on_counting_pictures_where_their_question_ends() -> None:
    row = {"question": "Is <image> like <image>?", "options": ["<image>", "none"]}
    spec = {"from": "options", "as": "image_markers", "after": "{question}"}
    assert value_of(spec, row) == ["<image:3>", "none"]


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("A", ("x", "None", "y")),
        ("B", ("x", "None", "y")),
        ("D", ("x", "None", "y", "None")),
    ],
)
def test_an_absent_option_at_the_end_is_none_unless_it_is_right(
    answer: str, wanted: tuple[str, ...]
) -> None:
    listed = {"from": "options", "absent": {"nan": "None"}}
    mapping = Columns(
        uid="t",
        images=[],
        text="q",
        context=None,
        options=listed,
        gold={"from": "answer", "as": "letter"},
        groups={},
        tags={},
        meta={},
    )
    row = {"options": ["x", "nan", "y", "NaN", "nan"], "answer": answer}
    sample = mapping.build(row, lambda value: value)
    assert (sample.options, sample.gold) == (wanted, "ABCD".index(answer))


def test_more_options_than_letters_are_refused_by_name() -> None:
    many = {"options": [str(n) for n in range(27)], "answer": "A"}
    with pytest.raises(ValueError, match=r"t: the row has 27 options, .* only 26 letters"):
        free(many)
    assert free(many | {"options": many["options"][:26]}).gold == 0


def test_rows_without_options_accept_answers() -> None:
    assert free({"options": ["x", "y"], "answer": "B"}, free="text").gold == 1
    row: dict[str, Any] = {"options": [], "answer": "1.20"}
    assert free(row, free="text").gold == Accepted(answers=("1.20",))
    kind = {"from": "kind", "as": "looked_up", "table": {"float": "number"}}
    found = free(row | {"kind": "float", "digits": 2.0}, free=kind, precision="digits").gold
    assert found == Accepted(answers=("1.20",), kind="number", precision=2)
    missing = free(row | {"digits": float("nan")}, free="number", precision="digits").gold
    assert missing.precision is None
    several = free({"options": None, "answer": ["a", "b", "a"]}, free="text").gold
    assert several.answers == ("a", "b", "a")
    with pytest.raises(ValueError, match=r"no options and gold\.free is None; say what kind"):
        free(row)
    with pytest.raises(ValueError, match="the gold answer is None; expected one answer or a list"):
        free({"options": [], "answer": None}, free="text")
    with pytest.raises(ValueError, match="the options are 'x'; expected a list: use `as`"):
        free({"options": "x", "answer": "A"}, free="text")
