"""Rows of VLMEvalKit's files, in its columns, and the samples that they become.

A number in the column `image` is a picture, a list of them several; text is what it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from solvent.core.types import Accepted
from tests.benchmarks.set_rows import YES_NO, Want
from tests.benchmarks.set_rows_choice import CAT_DOG, HINT

AB = {"A": "cat", "B": "dog"}
ABCD = AB | {"C": "cow", "D": "hen"}
FOUR = ("cat", "dog", "cow", "hen")


@dataclass(frozen=True, kw_only=True)
class TsvCase:
    """Rows of a file and the samples that they become, in order."""

    rows: Sequence[Mapping[str, Any]]
    want: Sequence[Want]


def simple(
    name: str, columns: Mapping[str, str], tags: Mapping[str, str], want: Mapping[str, Any] = {}
) -> TsvCase:
    """One row with four options, and what its set adds."""
    row = {"index": "7", "image": 0, "question": "Which?", **ABCD, "answer": "C"} | columns
    usual = {"uid": f"{name}/tsv/7", "text": "Which?", "options": FOUR, "gold": 2, "tags": tags}
    return TsvCase(rows=[row], want=[Want(**(usual | want))])


TSV = {
    "pope": TsvCase(
        rows=[
            {"index": "0", "image": 0, "question": "Is there a car?", "answer": "Yes"}
            | {"category": "popular,random"},
            {"index": "1", "image": "0", "question": "Is there a dog?", "answer": "No"}
            | {"category": "adversarial"},
        ],
        want=[
            Want(
                uid=f"pope/tsv/{category}/{index}",
                text=text,
                options=YES_NO,
                gold=index,
                tags={"category": category},
            )
            for index, text, category in [
                (0, "Is there a car?", "popular"),
                (0, "Is there a car?", "random"),
                (1, "Is there a dog?", "adversarial"),
            ]
        ],
    ),
    "mme": TsvCase(
        rows=[
            {"index": str(2 * n + k), "image": n, "image_path": f"{n}.png", "category": category}
            | {"question": f"Is it {'ab'[k]}? Please answer yes or no.", "answer": ("Yes", "No")[k]}
            for n, category in enumerate(["OCR", "code_reasoning"])
            for k in (0, 1)
        ],
        want=[
            Want(
                uid=f"mme/tsv/{2 * n + k}",
                text=f"Is it {'ab'[k]}?",
                options=YES_NO,
                gold=k,
                groups={"image": f"{category}/{n}.png"},
                tags={"category": category, "ability": ability},
            )
            for n, (category, ability) in enumerate(
                [("OCR", "perception"), ("code_reasoning", "cognition")]
            )
            for k in (0, 1)
        ],
    ),
    "hallusionbench": TsvCase(
        rows=[
            {"index": f"x_VD_illusion_0_{figure}_2", "image": image, "question": "Is it round?"}
            | {"answer": answer, "category": "VD", "l2-category": "illusion"}
            for figure, image, answer in [("1", 0, "Yes"), ("2", 1, "No"), ("0", "", "No")]
        ],
        want=[
            Want(
                uid=f"hallusionbench/tsv/VD/illusion/x_VD_illusion_0_{figure}_2",
                text="Is it round?",
                options=YES_NO,
                gold=figure - 1,
                groups={"question": "VD/illusion/0/2", "figure": f"VD/illusion/0/{figure}"},
                tags={"category": "VD", "subcategory": "illusion"},
            )
            for figure in (1, 2)
        ],
    ),
    "mmbench": TsvCase(
        rows=[
            {
                "index": index,
                "image": image,
                "question": "Which?",
                "hint": hint,
                **dict(zip("ABCD", o, strict=True)),
            }
            | {"answer": gold, "category": "ocr", "l2-category": "fine", "split": "dev"}
            for index, image, hint, gold, o in [
                ("241", 0, "", "A", [*CAT_DOG, "", ""]),
                ("1000241", "241", "Look.", "B", [*CAT_DOG[::-1], "", ""]),
            ]
        ],
        want=[
            Want(
                uid=f"mmbench/tsv/{index}",
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
    "mmstar": TsvCase(
        rows=[
            {"index": "0", "image": 0, "question": "Lit?", **AB, "C": "nan", "D": "nan"}
            | {"answer": "C", "category": "math"},
            {"index": "1", "image": 0, "question": "Lit?", **AB, "C": "nan", "D": ""}
            | {"answer": "A", "category": "math"},
            {
                "index": "2",
                "image": 0,
                "question": f"Hint: {HINT}\nQuestion: Is <image 1>?\n(A) 1\n(B)2",
            }
            | {**ABCD, "answer": "D", "category": "math"},
        ],
        want=[
            Want(
                uid=f"mmstar/tsv/{n}",
                text=text,
                options=o,
                gold=gold,
                tags={"category": "math"},
                context=c,
            )
            for n, (text, o, gold, c) in enumerate(
                [
                    ("Lit?", (*CAT_DOG, "None"), 2, None),
                    ("Lit?", CAT_DOG, 0, None),
                    ("Is <image:1>?", FOUR, 3, HINT),
                ]
            )
        ],
    ),
    "seedbench": simple("seedbench", {"category": "Counting"}, {"type": "Counting"}),
    "ai2d": simple("ai2d", {"category": "x"}, {}),
    "scienceqa": simple(
        "scienceqa",
        {"category": "art", "hint": "Look.", "E": "pig", "answer": "E"},
        {"category": "art"},
        {"options": (*FOUR, "pig"), "gold": 4, "context": "Look."},
    ),
    "realworldqa": simple(
        "realworldqa",
        {
            "question": "Which?\n\nA. cat\nB. dog\nPlease answer directly with the letter.",
            "C": "",
            "D": "",
            "answer": "B",
        },
        {},
        {"options": CAT_DOG, "gold": 1},
    ),
    "blink": simple(
        "blink", {"image": [0, 1], "category": "Jigsaw"}, {"task": "Jigsaw"}, {"images": 2}
    ),
    "mmvp": TsvCase(
        rows=[
            {"index": str(n), "image": n, "question": "Which?", **AB, "answer": "AB"[n % 2]}
            for n in (1, 2)
        ],
        want=[
            Want(
                uid=f"mmvp/tsv/{n}",
                text="Which?",
                options=CAT_DOG,
                gold=n % 2,
                groups={"pair": "0"},
            )
            for n in (1, 2)
        ],
    ),
    "vstar": simple("vstar", {"category": "relative_position"}, {"category": "relative_position"}),
    "mmmu": TsvCase(
        rows=[
            {"index": "1", "image": [0, 1], "question": "Is <image 2> like <image 1>?", **ABCD}
            | {"answer": "B", "category": "Art", "split": "validation"},
            {"index": "2", "image": 0, "question": "How many?", **dict.fromkeys("ABCD", "")}
            | {"answer": "['3', 'three']", "category": "Math", "split": "validation"},
            {"index": "3", "image": 0, "question": "Other?", **ABCD}
            | {"answer": "A", "category": "Math", "split": "dev"},
        ],
        want=[
            Want(
                uid="mmmu/tsv/1",
                text="Is <image:2> like <image:1>?",
                options=FOUR,
                gold=1,
                tags={"subject": "Art"},
                images=2,
            ),
            Want(
                uid="mmmu/tsv/2",
                text="How many?",
                options=(),
                gold=Accepted(answers=("3", "three")),
                tags={"subject": "Math"},
            ),
        ],
    ),
    "cvbench_2d": simple(
        "cvbench",
        {
            "prompt": "Which? Select one.\n(A) cat\n(B) dog\n(C) cow\n(D) hen",
            "answer": "(C)",
            "source": "COCO",
            "task": "Count",
        },
        {"source": "COCO", "task": "Count"},
        {"uid": "cvbench/tsv/2D/7"},
    ),
    "cvbench_3d": simple(
        "cvbench",
        {"prompt": "Which? Select.\n(A) cat\n(B) dog", "answer": "(B)", "task": "Depth"},
        {"task": "Depth"},
        {"uid": "cvbench/tsv/3D/7", "options": CAT_DOG, "gold": 1},
    ),
    "vmcbench": simple("vmcbench", {"category": "OCRVQA"}, {"source": "OCRVQA", "ability": "ocr"}),
    "3dsrbench": simple(
        "3dsrbench",
        {"qid": "abcd1234-flip", "category": "height_higher", "C": "None", "D": "", "answer": "A"},
        {"category": "height_higher", "ability": "height"},
        {
            "uid": "3dsrbench/tsv/abcd1234-flip",
            "options": CAT_DOG,
            "gold": 0,
            "groups": {"flip": "abcd1234", "circular": "abcd1234-flip", "question": "abcd1234"},
        },
    ),
    "textvqa": TsvCase(
        rows=[{"index": "5", "image": 0, "question": "What?", "answer": str(["a", "b"] * 5)}],
        want=[
            Want(
                uid="textvqa/tsv/5",
                text="What?",
                options=(),
                gold=Accepted(answers=("a", "b") * 5),
            )
        ],
    ),
    "chartqa": TsvCase(
        rows=[
            {"index": "0", "image": 0, "question": "What?", "answer": "14", "split": "test_human"},
            {
                "index": "1",
                "image": 0,
                "question": "Who?",
                "answer": "['x']",
                "split": "test_augmented",
            },
        ],
        want=[
            Want(
                uid=f"chartqa/tsv/{n}",
                text=text,
                options=(),
                gold=Accepted(answers=(answer,)),
                tags={"type": kind},
            )
            for n, (text, answer, kind) in enumerate(
                [("What?", "14", "test_human"), ("Who?", "x", "test_augmented")]
            )
        ],
    ),
    "mathvista": TsvCase(
        rows=[
            {"index": "1", "image": 0, "choices": "['no', 'yes', 'no']", "answer": "yes"}
            | {"question": "Hint: A letter.\nQuestion: Which?\nChoices:\n(A) no\n(B) yes\n(C) no"}
            | {
                "question_type": "multi_choice",
                "answer_type": "text",
                "precision": "",
                "task": "t",
            },
            {"index": "2", "image": 0, "choices": "", "answer": "1.20", "question": "How long?"}
            | {
                "question_type": "free_form",
                "answer_type": "float",
                "precision": "2.0",
                "task": "u",
            },
        ],
        want=[
            Want(
                uid="mathvista/tsv/1",
                text="Which?",
                options=("no", "yes"),
                gold=1,
                tags={"type": "multi_choice", "task": "t"},
            ),
            Want(
                uid="mathvista/tsv/2",
                text="How long?",
                options=(),
                gold=Accepted(answers=("1.20",), kind="number", precision=2),
                tags={"type": "free_form", "task": "u"},
            ),
        ],
    ),
    "naturalbench": TsvCase(
        rows=[
            {
                "index": str(4 * item + k),
                "image": 2 * item + k % 2,
                "question": f"{'ab'[k // 2]}? {end}",
            }
            | {"answer": golds[k in (1, 2)]}
            for item, (end, golds) in enumerate(
                [
                    ("Please answer Yes or No.", ("Yes", "No")),
                    ("Please output the letter corresponding to the correct option.", ("A", "B")),
                ]
            )
            for k in range(4)
        ],
        want=[
            Want(
                uid=f"naturalbench/tsv/{4 * item + k}",
                text=f"{'ab'[k // 2]}?",
                options=options,
                gold=int(k in (1, 2)),
                groups={
                    "item": str(item),
                    "question": str(2 * item + k // 2),
                    "image": f"{item}/{k % 2}",
                },
                tags={"type": kind},
            )
            for item, (options, kind) in enumerate(
                [(YES_NO, "yes_no"), (("A", "B"), "multiple_choice")]
            )
            for k in range(4)
        ],
    ),
}
