# ruff: noqa: RUF005 (a row is written in pieces to stay readable)
"""Rows of sets made to ask whether a model looks, as `set_rows` describes."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from PIL import Image

from solvent.core.types import Accepted
from tests.benchmarks.set_rows import INT64, LETTERS, PICTURE, TEXT, TEXTS, Case, Want, picture

BYTES = pa.binary()


def in_base64(number: int) -> str:
    """A picture as text; noise, since a flat one's would be shorter than any real one's."""
    file = io.BytesIO()
    Image.effect_noise((64, 48), 50 + number).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


CIRCLES = "How many circles are in cell C5? Answer with a number in curly brackets, e.g., {9}."
EQUAL = "Are the circles equal in size? Answer in curly brackets, e.g., {Yes} or {No}."
GRID, DISCS = "dice_patterned_grid_001_remove_C5", "Ebbinghaus_001"
BIASED = [  # scene, pixels, question, topic, sub-topic, prompt, gold, prior, kind of gold
    (GRID, 384, "Q1", "Patterned Grid", "Dice", CIRCLES, "2", "3", "number"),
    (GRID, 768, "Q1", "Patterned Grid", "Dice", CIRCLES, "2", "3", "number"),
    (DISCS, 384, "Q2", "Optical Illusion", "Ebbinghaus", EQUAL, "No", "Yes", "yesno"),
]

FACT, ASKED = "Stop signs are red.", "What colour is the sign?"
VILP = {"question": TEXT}
for k in (1, 2, 3):
    VILP |= {f"image{k}": BYTES, f"answer{k}": TEXT}
VILP_ROW = (f"{FACT} {ASKED}", picture(0)["bytes"], "red", picture(1)["bytes"], "blue")
VILP_ROW += (picture(2)["bytes"], "green")
VILP_SHOWN = [(1, "usual", "red"), (2, "unusual", "blue"), (3, "unusual", "green")]

TRIANGLE = "There is a triangle ABC in the figure. True or False?\n\nA triangle has three edges."
HEXAGON = "List all figures from a, b, c, and d.\n\nConditions: Including a hexagon."
SPAIN = "The value for Spain in 2015 is:\n(a) 62 (b) 55 (c) 66 (d) 68 (e) 74 "
ANGLE = "What is the angle between the cars? (a) 135 degrees (b) 0 degrees (c) 45 degrees "
FALSE, ABC, ABCD = ("True", "False"), tuple("abc"), tuple("abcd")
REAL = [  # split, question, answer, response options, kind of question, category, gold
    ("geometry__triangle", TRIANGLE, "False", FALSE, "single_answer", "geometry", 1),
    ("chemistry__shape_multi", HEXAGON, "b,d", ABCD, "multiple_answers", "chemistry")
    + (Accepted(answers=("b,d",)),),
    ("charts__extraction", SPAIN, "d", (*ABCD, "e"), "single_answer", "charts", 3),
]
SYNTHETIC = [("3d__angle", ANGLE, "c", ABC, "single_answer", "3d", 2)]


def visonlyqa(part: str, rows: Sequence[tuple[Any, ...]]) -> Case:
    """VisOnlyQA, whose splits may stand in one table that names them."""
    return Case(
        types=dict.fromkeys(["image_path", "question", "answer", "prompt_reasoning"], TEXT)
        | dict.fromkeys(["prompt_no_reasoning", "image_category", "task_category"], TEXT)
        | {"question_type": TEXT, "response_options": TEXTS, "source": TEXT, "id": TEXT}
        | {"decoded_image": PICTURE, "split": TEXT},
        rows=[
            (f"images/{n}.png", asked, answer, f"{asked}\n\nExplain it.", f"{asked}\n\nOnly {n}.")
            + (category, "size", kind, list(options), "MathVista", "visonlyqa_0", picture(n), split)
            for n, (split, asked, answer, options, kind, category, _) in enumerate(rows)
        ],
        want=[
            Want(
                uid=f"visonlyqa/{part}/{split}/visonlyqa_0",
                text=asked.strip(),
                options=options if kind == "single_answer" else (),
                gold=gold,
                groups={"image": f"images/{n}.png"},
                tags={"task": split, "category": category},
            )
            for n, (split, asked, _, options, kind, category, gold) in enumerate(rows)
        ],
    )


SIGN, FOUR = "What does the sign say?", ("one", "two", "three", "four")


def hrbench(size: str) -> Case:
    """HR-Bench at one size: two of the four orders of a question's options."""
    orders = [FOUR, FOUR[1:] + FOUR[:1]]
    return Case(
        types={"index": INT64, "question": TEXT, "answer": TEXT, "category": TEXT}
        | LETTERS
        | {"cycle_category": TEXT, "image": TEXT},
        rows=[
            (n, SIGN, "BA"[n], "single", *options, str(n), in_base64(0))
            for n, options in enumerate(orders)
        ],
        want=[
            Want(
                uid=f"hrbench/hrbench_{size}/{n}",
                text=SIGN,
                options=options,
                gold=1 - n,
                groups={"question": SIGN},
                tags={"category": "single", "cycle": str(n)},
            )
            for n, options in enumerate(orders)
        ],
    )


LOOKING = {
    "vlmsarebiased": Case(
        types=dict.fromkeys(["ID", "image_path", "topic", "sub_topic", "prompt"], TEXT)
        | {"ground_truth": TEXT, "expected_bias": TEXT, "with_title": pa.bool_()}
        | {"type_of_question": TEXT, "pixel": INT64, "metadata": TEXT, "image": PICTURE},
        rows=[
            (f"{scene}_px{pixels}_{question}", "images/1.png", topic, part, prompt, gold, prior)
            + (False, question, pixels, "{}", picture(pixels % 5))
            for scene, pixels, question, topic, part, prompt, gold, prior, _ in BIASED
        ],
        want=[
            Want(
                uid=f"vlmsarebiased/main/{scene}_px{pixels}_{question}",
                text=prompt,
                options=(),
                gold=Accepted(answers=(gold,), kind=kind, prior=(prior,)),
                groups={"scene": scene},
                tags={"topic": topic, "sub_topic": part}
                | {"question": question, "pixel": str(pixels)},
            )
            for scene, pixels, question, topic, part, prompt, gold, prior, kind in BIASED
        ],
    ),
    **{
        name: Case(
            types=VILP,
            rows=[VILP_ROW],
            want=[
                Want(
                    uid=f"{name}/0-*/i{shown}",
                    text=text,
                    options=(),
                    gold=Accepted(answers=(answer,), prior=("red",)),
                    groups={"item": "0"},
                    tags={"picture": tag},
                )
                for shown, tag, answer in VILP_SHOWN
            ],
        )
        for name, text in (("vilp", f"{FACT} {ASKED}"), ("vilp_p", ASKED))
    },
    "vilp_choice": Case(
        types=VILP,
        rows=[VILP_ROW],
        want=[
            Want(
                uid=f"vilp_choice/0-*/i{shown}",
                text=f"{FACT} {ASKED}",
                options=("red", "blue", "green"),
                gold=shown - 1,
                groups={"item": "0"},
                tags={"picture": tag},
            )
            for shown, tag, _ in VILP_SHOWN
        ],
    ),
    "visonlyqa_real": visonlyqa("real", REAL),
    "visonlyqa_synthetic": visonlyqa("synthetic", SYNTHETIC),
    "hrbench_4k": hrbench("4k"),
    "hrbench_8k": hrbench("8k"),
    "mme_realworld_lite": Case(
        types={"index": TEXT, "bytes": TEXT, "question": TEXT, "multi-choice options": TEXTS}
        | dict.fromkeys(["answer", "category", "l2-category"], TEXT),
        rows=[
            ("17", in_base64(0), "What is the car's colour?")
            + (["(A) Red", "(B) Blue", "(C) Grey", "(D) White", "(E) It is not in the image"],)
            + ("C", "Perception/OCR with Complex Context", "license")
        ],
        want=[
            Want(
                uid="mme_realworld_lite/17",
                text="What is the car's colour?",
                options=("Red", "Blue", "Grey", "White", "It is not in the image"),
                gold=2,
                tags={
                    "ability": "Perception",
                    "task": "Perception/OCR with Complex Context",
                    "l2": "license",
                },
            )
        ],
    ),
}
