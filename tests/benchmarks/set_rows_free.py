# ruff: noqa: RUF005 (a row is written in pieces to stay readable)
"""Rows of the sets with free answers, some of them beside options, as `set_rows` describes."""

from __future__ import annotations

import pyarrow as pa

from solvent.core.types import Accepted
from tests.benchmarks.set_rows import INT32, INT64, PICTURE, TEXT, TEXTS, Case, Want, picture

TEN = ["blue", *["navy blue"] * 3, *["dark blue"] * 6]
IMAGES = tuple(f"image_{k}" for k in range(1, 8))

FREE = {
    "mmmu": Case(
        types=dict.fromkeys(["id", "question", "options", "explanation"], TEXT)
        | dict.fromkeys(IMAGES, PICTURE)
        | dict.fromkeys(["img_type", "answer", "topic_difficulty", "question_type"], TEXT)
        | {"subfield": TEXT},
        rows=[
            ("validation_Accounting_1", "See <image 2> and <image 1>.", "['$6', '<image 2>']", "")
            + (picture(0), picture(1), None, None, None, None, None)
            + ("['Tables']", "B", "Easy", "multiple-choice", "Cost"),
            ("validation_Energy_and_Power_7", "How much? <image 1>", "[]", "")
            + (picture(2), None, None, None, None, None, None)
            + ("['Tables']", "['1/2', '0.5']", "Hard", "open", "Heat"),
            ("validation_Math_3", "Which interval?", "[]", "")
            + (picture(2), None, None, None, None, None, None)
            + ("['Plots']", "[0, 1)", "Hard", "open", "Sets"),
        ],
        want=[
            Want(
                uid="mmmu/validation_Accounting_1",
                text="See <image:2> and <image:1>.",
                options=("$6", "<image:2>"),
                gold=1,
                tags={"subject": "Accounting", "type": "multiple-choice", "difficulty": "Easy"},
                images=2,
            ),
            Want(
                uid="mmmu/validation_Energy_and_Power_7",
                text="How much? <image:1>",
                options=(),
                gold=Accepted(answers=("1/2", "0.5"), kind="text"),
                tags={"subject": "Energy_and_Power", "type": "open", "difficulty": "Hard"},
            ),
            Want(
                uid="mmmu/validation_Math_3",
                text="Which interval?",
                options=(),
                gold=Accepted(answers=("[0, 1)",), kind="text"),
                tags={"subject": "Math", "type": "open", "difficulty": "Hard"},
            ),
        ],
    ),
    "mathvista": Case(
        types={"pid": TEXT, "question": TEXT, "image": TEXT, "decoded_image": PICTURE}
        | {"choices": TEXTS, "unit": TEXT, "precision": pa.float64(), "answer": TEXT}
        | {"question_type": TEXT, "answer_type": TEXT}
        | {"metadata": pa.struct([("task", TEXT), ("skills", TEXTS)]), "query": TEXT},
        rows=[
            ("1", "Which?", "images/1.jpg", picture(0), ["no", "yes", "no"], None, None, "yes")
            + ("multi_choice", "text", {"task": "geometry", "skills": ["x"]})
            + ("Hint: A letter.\nQuestion: Which?\nChoices:\n(A) no\n(B) yes\n(C) no",),
            ("2", "How long?", "images/2.jpg", picture(1), None, "cm", 1.0, "1.2")
            + ("free_form", "float", {"task": "figure", "skills": []})
            + ("Hint: One decimal.\nQuestion: How long? (Unit: cm)",),
            ("3", "Which years?", "images/3.jpg", picture(2), None, None, None, "[2007, 2008]")
            + ("free_form", "list", {"task": "figure", "skills": []})
            + ("Hint: A list.\nQuestion: Which years?",),
        ],
        want=[
            Want(
                uid="mathvista/testmini/1",
                text="Which?",
                options=("no", "yes"),
                gold=1,
                tags={"type": "multi_choice", "task": "geometry"},
            ),
            Want(
                uid="mathvista/testmini/2",
                text="How long?",
                options=(),
                gold=Accepted(answers=("1.2",), kind="number", precision=1),
                tags={"type": "free_form", "task": "figure"},
            ),
            Want(
                uid="mathvista/testmini/3",
                text="Which years?",
                options=(),
                gold=Accepted(answers=("[2007, 2008]",), kind="list"),
                tags={"type": "free_form", "task": "figure"},
            ),
        ],
    ),
    "vlmsareblind": Case(
        types={"task": TEXT, "image": PICTURE}
        | dict.fromkeys(["prompt", "groundtruth", "metadata"], TEXT),
        rows=[
            (task, picture(n), "Look. How is it?", truth, "{}")
            for n, (task, truth) in enumerate(
                [
                    ("Touching Circles", "Yes"),
                    ("Counting Grid - Word Grids", "5,6"),
                    ("Counting Grid - Blank Grids", "4,3"),
                    ("Circled Letter", "o"),
                    ("Nested Squares", "4"),
                ]
            )
        ],
        want=[
            Want(
                uid=f"vlmsareblind/{n}-*",
                text="Look. How is it?",
                options=("yes", "no") if n == 0 else (),
                gold=gold,
                tags={"task": task},
            )
            for n, (task, gold) in enumerate(
                [
                    ("Touching Circles", 0),
                    ("Counting Grid", Accepted(answers=("5,6",), kind="list")),
                    ("Counting Grid", Accepted(answers=("4,3",), kind="list")),
                    ("Circled Letter", Accepted(answers=("o",), kind="text")),
                    ("Nested Squares", Accepted(answers=("4",), kind="number")),
                ]
            )
        ],
    ),
    "chartqa": Case(
        types={"type": TEXT, "question": TEXT, "answer": TEXT, "image": PICTURE},
        rows=[
            ("human_test", "How many?", "14", picture(0)),
            ("augmented_test", "Which year?", "2016", picture(1)),
        ],
        want=[
            Want(
                uid=f"chartqa/test/{n}-*",
                text=text,
                options=(),
                gold=Accepted(answers=(answer,), kind="text"),
                tags={"type": kind},
            )
            for n, (kind, text, answer) in enumerate(
                [("human_test", "How many?", "14"), ("augmented_test", "Which year?", "2016")]
            )
        ],
    ),
    "textvqa": Case(
        types={"image_id": TEXT, "question_id": INT32, "question": TEXT, "question_tokens": TEXTS}
        | {"image": PICTURE, "image_width": INT32, "image_height": INT32}
        | {"answers": TEXTS, "image_classes": TEXTS, "set_name": TEXT, "ocr_tokens": TEXTS},
        rows=[
            ("0a1", 34602, "What colour?", ["what", "colour"], picture(0), 64, 48)
            + (TEN, ["Sign"], "val", ["STOP"])
        ],
        want=[
            Want(
                uid="textvqa/validation/34602",
                text="What colour?",
                options=(),
                gold=Accepted(answers=tuple(TEN), kind="text"),
            )
        ],
    ),
    "vqav2": Case(
        types={"question_type": TEXT, "multiple_choice_answer": TEXT}
        | {
            "answers": pa.list_(
                pa.struct([("answer", TEXT), ("answer_confidence", TEXT), ("answer_id", INT64)])
            )
        }
        | {"image_id": INT64, "answer_type": TEXT, "question_id": INT64, "question": TEXT}
        | {"image": PICTURE},
        rows=[
            ("what", "dark blue")
            + (
                [
                    {"answer": a, "answer_confidence": "yes", "answer_id": n + 1}
                    for n, a in enumerate(TEN)
                ],
            )
            + (262148, "other", 262148000, "What colour?", picture(0))
        ],
        want=[
            Want(
                uid="vqav2/validation/262148000",
                text="What colour?",
                options=(),
                gold=Accepted(answers=tuple(TEN), kind="text"),
                tags={"type": "other"},
            )
        ],
    ),
}
