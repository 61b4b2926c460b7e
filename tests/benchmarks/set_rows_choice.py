# ruff: noqa: RUF005 (a row is written in pieces to stay readable)
"""Rows of the sets with options, as `set_rows` describes."""

from __future__ import annotations

from solvent.core.types import Accepted
from tests.benchmarks.set_rows import (
    INT8,
    INT64,
    INTS,
    LETTERS,
    PICTURE,
    PICTURES,
    TEXT,
    TEXTS,
    Case,
    Want,
    picture,
)

CAT_DOG = ("cat", "dog")
HINT = "Please answer the question and provide the correct option letter, e.g., A, B, C, D."
ASKED = f"Hint: {HINT}\nQuestion: What is x?\n"
MMSTAR = [  # every layout: question, answer; text and options
    (
        "Where is it?\nOptions: A: On it, or near., B: Under it., C: ratio 1:2, D: no",
        "B",
        "Where is it?",
        ("On it, or near.", "Under it.", "ratio 1:2", "no"),
    ),
    ("Lit?\nOptions: A: yes, B: no, C: nan, D: nan", "A", "Lit?", ("yes", "no")),
    ("Lit?\nOptions: A: yes, B: no, C: nan, D: nan", "C", "Lit?", ("yes", "no", "None")),
    ("Lit?\nOptions: A: yes, B: nan, C: no, D: on", "B", "Lit?", ("yes", "None", "no", "on")),
    (
        f"{ASKED}Choices:\n(A) 40.7\n(B) 81\n(C) A: 9\n(D) 33.0",
        "C",
        "What is x?",
        ("40.7", "81", "A: 9", "33.0"),
    ),
    (f"{ASKED}(A) 3\n(B) 5\n(C) 6\n(D) 8", "D", "What is x?", ("3", "5", "6", "8")),
    (f"{ASKED}Choices:\n(A) red\n(B) green\n(C) blue", "A", "What is x?", ("red", "green", "blue")),
    (f"{ASKED}Choices:\n(A) 2\n(B) 4\n(C) 6\n(D)8", "D", "What is x?", ("2", "4", "6", "8")),
    (
        "What does <image 1> show?\nOptions: A: a dam, B: a pier, C: a weir, D: a lock",
        "D",
        "What does <image:1> show?",
        ("a dam", "a pier", "a weir", "a lock"),
    ),
]

CHOICE = {
    "3dsrbench": Case(
        types={"index": INT64, "qid": TEXT, "image": PICTURE, "question": TEXT}
        | LETTERS
        | {"answer": TEXT, "category": TEXT},
        rows=[
            (n, qid, picture(n), "Which is higher?", *options, "nan", "nan", gold, "height_higher")
            for n, (qid, options, gold) in enumerate(
                [
                    ("abcd1234", CAT_DOG, "A"),
                    ("abcd1234-1", CAT_DOG[::-1], "B"),
                    ("abcd1234-flip", CAT_DOG, "A"),
                    ("abcd1234-flip-1", CAT_DOG[::-1], "B"),
                ]
            )
        ],
        want=[
            Want(
                uid=f"3dsrbench/3dsr/abcd1234{flip}{roll}",
                text="Which is higher?",
                options=CAT_DOG[::-1] if roll else CAT_DOG,
                gold=int(bool(roll)),
                groups={
                    "flip": f"abcd1234{roll}",
                    "circular": f"abcd1234{flip}",
                    "question": "abcd1234",
                },
                tags={"category": "height_higher", "ability": "height"},
            )
            for flip in ("", "-flip")
            for roll in ("", "-1")
        ],
    ),
    "realworldqa": Case(
        types={"image": PICTURE, "question": TEXT, "answer": TEXT, "image_path": TEXT},
        rows=[
            (picture(0), question, answer, f"{n}.webp")
            for n, (question, answer) in enumerate(
                [
                    (
                        "Which way?\n\nA. Left\nB. Straight on\nC. Right\nPlease answer directly "
                        "with only the letter of the correct option and nothing else.",
                        "C",
                    ),
                    ("How many?\nPlease answer directly with a single word or number.", "3"),
                ]
            )
        ],
        want=[
            Want(
                uid="realworldqa/0.webp",
                text="Which way?",
                options=("Left", "Straight on", "Right"),
                gold=2,
            ),
            Want(
                uid="realworldqa/1.webp",
                text="How many?",
                options=(),
                gold=Accepted(answers=("3",), kind="text"),
            ),
        ],
    ),
    "vmcbench": Case(
        types={"index": INT64, "question": TEXT}
        | LETTERS
        | {"answer": TEXT, "category": TEXT, "image": PICTURE},
        rows=[(12, "What is it?", "cat", "dog", "cow", "hen", "D", "A-OKVQA", picture(0))],
        want=[
            Want(
                uid="vmcbench/12",
                text="What is it?",
                options=("cat", "dog", "cow", "hen"),
                gold=3,
                tags={"source": "A-OKVQA", "ability": "general"},
            )
        ],
    ),
    "mmstar": Case(
        types={"index": INT64, "question": TEXT, "image": PICTURE}
        | dict.fromkeys(["answer", "category", "l2_category"], TEXT),
        rows=[
            (n, question, picture(n), gold, "math", "geometry")
            for n, (question, gold, *_) in enumerate(MMSTAR)
        ],
        want=[
            Want(
                uid=f"mmstar/{n}",
                text=text,
                options=options,
                gold="ABCD".index(gold),
                tags={"category": "math", "l2": "geometry"},
                context=HINT if question.startswith("Hint:") else None,
            )
            for n, (question, gold, text, options) in enumerate(MMSTAR)
        ],
    ),
    "mmbench": Case(
        types=dict.fromkeys(["index", "question", "hint", "answer"], TEXT)
        | LETTERS
        | {"category": TEXT, "image": PICTURE, "source": TEXT, "L2-category": TEXT}
        | {"comment": TEXT, "split": TEXT},
        rows=[
            (index, "Which?", hint, gold, *options, "nan", "nan", "ocr", picture(0), "x", "fine")
            + ("nan", "dev")
            for index, hint, gold, options in [
                ("241", "nan", "A", CAT_DOG),
                ("1000241", "Look.", "B", CAT_DOG[::-1]),
            ]
        ],
        want=[
            Want(
                uid=f"mmbench/en/dev/{index}",
                text="Which?",
                options=options,
                gold=gold,
                groups={"base": "241"},
                tags={"category": "ocr", "l2": "fine"},
                context=context,
            )
            for index, context, gold, options in [
                ("241", None, 0, CAT_DOG),
                ("1000241", "Look.", 1, CAT_DOG[::-1]),
            ]
        ],
    ),
    "scienceqa": Case(
        types={"image": PICTURE, "question": TEXT, "choices": TEXTS, "answer": INT8}
        | dict.fromkeys(["hint", "task", "grade", "subject", "topic", "category"], TEXT)
        | dict.fromkeys(["skill", "lecture", "solution"], TEXT),
        rows=[
            (picture(n), "Which?", ["x", "y", "z"], n, hint, "closed choice", "grade2")
            + ("natural science", "physics", "c", "s", "", "")
            for n, hint in enumerate(["", "Read the map."])
        ],
        want=[
            Want(
                uid=f"scienceqa/test/{n}-*",
                text="Which?",
                options=("x", "y", "z"),
                gold=n,
                tags={"subject": "natural science", "topic": "physics"},
                context=context,
            )
            for n, context in enumerate([None, "Read the map."])
        ],
    ),
    "ai2d": Case(
        types={"question": TEXT, "options": TEXTS, "answer": TEXT, "image": PICTURE},
        rows=[("Which label?", ["A", "B", "C", "D"], "2", picture(0))],
        want=[Want(uid="ai2d/test/0-*", text="Which label?", options=("A", "B", "C", "D"), gold=2)],
    ),
    "seedbench": Case(
        types=dict.fromkeys(["answer", "choice_a", "choice_b", "choice_c", "choice_d"], TEXT)
        | {"data_id": TEXT, "data_type": TEXT, "question": TEXT, "question_id": TEXT}
        | {"question_type_id": INT64, "segment": INTS, "image": PICTURES},
        rows=[
            ("A", "one", "two", "three", "four", "v", "video", "What?", "v1", 10, [1, 2])
            + ([picture(0)] * 8,),
            ("C", "one", "two", "three", "four", "i", "image", "How many?", "i1", 5, [])
            + ([picture(1)],),
        ],
        want=[
            Want(
                uid="seedbench/i1",
                text="How many?",
                options=("one", "two", "three", "four"),
                gold=2,
                tags={"type": "5"},
            )
        ],
    ),
    "cvbench": Case(
        types={"idx": INT64, "type": TEXT, "task": TEXT, "image": PICTURE, "question": TEXT}
        | {"choices": TEXTS, "answer": TEXT, "prompt": TEXT, "source": TEXT},
        rows=[
            (n, kind, task, picture(n), "Which?", ["4", "1", "0"], "(C)", "Which? (A)", source)
            for n, (kind, task, source) in enumerate(
                [("2D", "Count", "ADE20K"), ("2D", "Count", "COCO"), ("3D", "Depth", "Omni3D")]
            )
        ],
        want=[
            Want(
                uid=f"cvbench/{n}",
                text="Which?",
                options=("4", "1", "0"),
                gold=2,
                tags={"type": kind, "task": task, "source": source},
            )
            for n, (kind, task, source) in enumerate(
                [("2D", "Count", "ADE20K"), ("2D", "Count", "COCO"), ("3D", "Depth", "Omni3D")]
            )
        ],
    ),
    "mmvp": Case(
        types={"Index": INT64, "Question": TEXT, "Options": TEXT, "Correct Answer": TEXT}
        | {"image": PICTURE},
        rows=[
            (index, "Open or closed?", "(a) Open (b) Closed", gold, picture(index))
            for index, gold in ((1, "(a)"), (2, "(b)"), (3, "(b)"), (4, "(a)"))
        ],
        want=[
            Want(
                uid=f"mmvp/{index}",
                text="Open or closed?",
                options=("Open", "Closed"),
                gold=gold,
                groups={"pair": pair},
            )
            for index, gold, pair in ((1, 0, "0"), (2, 1, "0"), (3, 1, "1"), (4, 0, "1"))
        ],
    ),
    "blink": Case(
        types={"idx": TEXT, "sub_task": TEXT, "question": TEXT}
        | dict.fromkeys(["image_1", "image_2", "image_3", "image_4"], PICTURE)
        | {"choices": TEXTS, "answer": TEXT, "prompt": TEXT, "explanation": TEXT},
        rows=[
            ("val_Art_Style_1", "Art_Style", "Which?", picture(0), picture(1), picture(2), None)
            + (["the second image", "the third image"], "(B)")
            + (
                "Which is like it?\nSelect one.\n(A) the second image\n(B) the third image\n",
                "",
            )
        ],
        want=[
            Want(
                uid="blink/val_Art_Style_1",
                text="Which is like it?\nSelect one.",
                options=("the second image", "the third image"),
                gold=1,
                tags={"task": "Art_Style"},
                images=3,
            )
        ],
    ),
    "vstar": Case(
        types={"image": PICTURE}
        | dict.fromkeys(["text", "label", "category", "question_id"], TEXT),
        rows=[
            (
                picture(0),
                "What colour?\n(A) red\n(B) blue\n"
                "Answer with the option's letter from the given choices directly.",
                "B",
                "direct_attributes",
                "0",
            )
        ],
        want=[
            Want(
                uid="vstar/direct_attributes/0",
                text="What colour?",
                options=("red", "blue"),
                gold=1,
                tags={"category": "direct_attributes"},
            )
        ],
    ),
}
