# ruff: noqa: RUF005 (a row is written in pieces to stay readable)
"""Rows of sets on counting, reading and reasoning, as `set_rows` describes."""

from __future__ import annotations

import json

import pyarrow as pa

from solvent.core.types import Accepted
from tests.benchmarks.set_rows import (
    INT32,
    INT64,
    PICTURE,
    PICTURES,
    TEXT,
    TEXTS,
    Case,
    Want,
    picture,
)
from tests.benchmarks.sets.set_rows_folders import Folder, array

CRPE = ("dog", "cat", "cow", "hen")
IMAGES = tuple(f"image_{k}" for k in range(1, 8))
PRO = (
    dict.fromkeys(["id", "question", "options", "explanation"], TEXT)
    | dict.fromkeys(IMAGES, PICTURE)
    | dict.fromkeys(["img_type", "answer", "topic_difficulty", "subject"], TEXT)
)
TEN = tuple(f"{n} $" for n in range(10))


def pro(config: str, options: tuple[str, ...], gold: str) -> Case:
    """MMMU-Pro's standard parts."""
    return Case(
        types=PRO,
        rows=[
            ("test_History_256", "See <image 2> and <image 1>.", repr(list(options)), "")
            + (picture(0), picture(1), None, None, None, None, None)
            + ("['Plots']", gold, "Easy", "History")
        ],
        want=[
            Want(
                uid=f"mmmu_pro/{config}/test_History_256",
                text="See <image:2> and <image:1>.",
                options=options,
                gold="ABCDEFGHIJ".index(gold),
                tags={"subject": "History"},
                images=2,
            )
        ],
    )


def read(name: str, **types: pa.DataType) -> Case:
    """DocVQA and InfographicVQA: `types` are of the columns in which they differ."""
    answers = ["12 May", "May 12"]
    rest = {"image": picture(0), "docId": 7}
    return Case(
        types={"questionId": TEXT, "question": TEXT} | types
        | {"image": PICTURE, "answers": TEXTS, "data_split": TEXT},
        rows=[
            ("49153", "What is the date?")
            + tuple(rest.get(column) for column in types)
            + (picture(0), answers, "val")
        ],
        want=[
            Want(
                uid=f"{name}/validation/49153",
                text="What is the date?",
                options=(),
                gold=Accepted(answers=tuple(answers), kind="text"),
                groups={"document": "7"} if "docId" in types else {},
            )
        ],
    )  # fmt: skip


MORE = {
    "crpe": Case(
        types={"image": PICTURE, "text": TEXT, "correct_option": TEXT},
        rows=[
            (
                picture(turn // 4),
                "What is it?\n"
                + "".join(f"{letter}. {CRPE[(turn + n) % 4]}\n" for n, letter in enumerate("ABCD"))
                + "Please answer directly with only the letter of the correct option.",
                "ADCB"[turn % 4],
            )
            for turn in range(8)
        ],
        want=[
            Want(
                uid=f"crpe/{turn}-*",
                text="What is it?",
                options=CRPE[turn % 4 :] + CRPE[: turn % 4],
                gold=-turn % 4,
                groups={"question": str(turn // 4)},
            )
            for turn in range(8)
        ],
    ),
    "countbenchqa": Case(
        types={"image": PICTURE, "text": TEXT, "question": TEXT, "number": INT32},
        rows=[(picture(0), "A photo of five owls", "How many owls are there?", 5)],
        want=[
            Want(
                uid="countbenchqa/0-*",
                text="How many owls are there?",
                options=(),
                gold=Accepted(answers=("5",), kind="number"),
                tags={"number": "5"},
            )
        ],
    ),
    "mmmu_pro": pro("standard (10 options)", TEN, "J"),
    "mmmu_pro_4": pro("standard (4 options)", ("$6", "<image:2>", "$7", "$8"), "B"),
    "mmmu_pro_vision": Case(
        types={"id": TEXT, "image": PICTURE}
        | dict.fromkeys(["options", "answer", "subject"], TEXT),
        rows=[("test_Art_1", picture(0), "['a king', 'a queen', 'a pawn']", "C", "Art")],
        want=[
            Want(
                uid="mmmu_pro/vision/test_Art_1",
                text="Answer the multiple-choice question in the picture with the letter of the "
                "right option.",
                options=("A", "B", "C"),
                gold=2,
                tags={"subject": "Art"},
            )
        ],
    ),
    "visualpuzzles": Case(
        types={"id": INT64, "question": TEXT, "options": TEXTS, "answer": TEXT, "image": PICTURE},
        rows=[
            (1, "Which comes next?", None, "D", picture(0)),
            (2, "How many?", ["1", "2", "3", "4"], "B", picture(1)),
        ],
        want=[
            Want(
                uid="visualpuzzles/1",
                text="Which comes next?",
                options=("A", "B", "C", "D"),
                gold=3,
            ),
            Want(uid="visualpuzzles/2", text="How many?", options=("1", "2", "3", "4"), gold=1),
        ],
    ),
    "ocrbench": Case(
        types=dict.fromkeys(["dataset", "question", "question_type"], TEXT)
        | {"answer": TEXTS, "image": PICTURE},
        rows=[
            ("IIIT5K", "What is written?", "Regular Text Recognition", ["CENTRE"], picture(0)),
            ("HME100k", "Write it in LaTeX.", "Handwritten", ["p = 2"], picture(1)),
        ],
        want=[
            Want(
                uid="ocrbench/0-*",
                text="What is written?",
                options=(),
                gold=Accepted(answers=("CENTRE",), kind="text"),
                tags={"type": "Regular Text Recognition", "dataset": "IIIT5K"},
            ),
            Want(
                uid="ocrbench/1-*",
                text="Write it in LaTeX.",
                options=(),
                gold=Accepted(answers=("p = 2",), kind="formula"),
                tags={"type": "Handwritten", "dataset": "HME100k"},
            ),
        ],
    ),
    "docvqa": read(
        "docvqa",
        question_types=TEXTS,
        docId=INT64,
        ucsf_document_id=TEXT,
        ucsf_document_page_no=TEXT,
    ),
    "infovqa": read(
        "infovqa", answer_type=TEXTS, image_url=TEXT, **{"operation/reasoning": TEXTS}, ocr=TEXT
    ),
    "spatial457": Case(
        # On the hub a part is a config; in one file for all of them it is a column.
        types={"config": TEXT, "image": PICTURE}
        | dict.fromkeys(["image_filename", "question", "answer"], TEXT)
        | {"question_index": INT32}
        | {
            "program": pa.struct(
                [
                    ("type", TEXTS),
                    ("inputs", pa.list_(pa.list_(pa.int32()))),
                    ("_output", TEXTS),
                    ("value_inputs", pa.list_(TEXTS)),
                ]
            )
        },
        rows=[
            (config, picture(n), "s_1.png", question, answer, n)
            + ({"type": ["scene"], "inputs": [[]], "_output": ["x"], "value_inputs": [[]]},)
            for n, (config, question, answer) in enumerate(
                [
                    ("L1_single", "What colour is the car?", "red"),
                    ("L2_objects", "How many cars?", "3"),
                    ("L5_collision", "Is there a collision?", "True"),
                ]
            )
        ],
        want=[
            Want(
                uid=f"spatial457/{config}/{n}-*",
                text=text,
                options=(),
                gold=Accepted(answers=(answer,), kind=kind),
                groups={"image": "s_1.png"},
                tags={"part": config, "level": config[:2]},
            )
            for n, (config, text, answer, kind) in enumerate(
                [
                    ("L1_single", "What colour is the car?", "red", "text"),
                    ("L2_objects", "How many cars?", "3", "number"),
                    ("L5_collision", "Is there a collision?", "True", "yesno"),
                ]
            )
        ],
    ),
    "omnispatial": Case(
        types={"image": PICTURE, "question": TEXT, "options": TEXTS, "answer": INT64}
        | {"task_type": TEXT, "sub_task_type": TEXT},
        rows=[(picture(0), "Where to?", ["left", "right"], 1, "Dynamic_Reasoning", "Manipulation")],
        want=[
            Want(
                uid="omnispatial/0-*",
                text="Where to?",
                options=("left", "right"),
                gold=1,
                tags={"task": "Dynamic_Reasoning", "subtask": "Manipulation"},
            )
        ],
    ),
    "muirbench": Case(
        types=dict.fromkeys(["idx", "task", "image_relation", "image_type", "question"], TEXT)
        | {"options": TEXTS, "answer": TEXT, "image_list": PICTURES},
        rows=[
            ("7", "Ordering", "Temporal", "Photo", "Which follows <image>?")
            + (["<image>", "<image>", "None of the choices"], "B", [picture(n) for n in range(3)])
        ],
        want=[
            Want(
                uid="muirbench/7",
                text="Which follows <image:1>?",
                options=("<image:2>", "<image:3>", "None of the choices"),
                gold=1,
                tags={"task": "Ordering", "relation": "Temporal", "type": "Photo"},
                images=3,
            )
        ],
    ),
}

MORE_FOLDERS = {
    "tallyqa": Folder(
        files={
            "test.json": array(
                *(
                    {
                        "answer": answer,
                        "data_source": "imported_genome",
                        "image": "VG_100K_2/24.jpg",
                        "image_id": 924,
                        "issimple": simple,
                        "question": question,
                        "question_id": 30 + answer,
                    }
                    for answer, simple, question in [
                        (4, False, "How many headlights does the bus have?"),
                        (0, True, "How many dogs?"),
                    ]
                )
            )
        },
        pictures=["VG_100K_2/24.jpg"],
        want=[
            Want(
                uid=f"tallyqa/test/{30 + answer}",
                text=text,
                options=(),
                gold=Accepted(answers=(str(answer),), kind="number"),
                groups={"image": "VG_100K_2/24.jpg"},
                tags={"kind": kind, "source": "imported_genome"},
            )
            for answer, kind, text in [
                (4, "complex", "How many headlights does the bus have?"),
                (0, "simple", "How many dogs?"),
            ]
        ],
    ),
    "visulogic": Folder(
        files={
            "data.jsonl": json.dumps(
                {
                    "question": "Which one continues it?\n\n\n\nA: A  \nB: B  \nC: C  \nD: D",
                    "label": "C",
                    "image_path": "images/00000.png",
                    "id": "00000",
                    "tag": "Spatial Reasoning",
                }
            )
        },
        pictures=["images/00000.png"],
        want=[
            Want(
                uid="visulogic/00000",
                text="Which one continues it?",
                options=("A", "B", "C", "D"),
                gold=2,
                tags={"kind": "Spatial Reasoning"},
            )
        ],
    ),
}
