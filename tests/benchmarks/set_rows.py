# ruff: noqa: RUF005 (a row is written in pieces to stay readable)
"""A few rows of every set on the hub, in its own columns and types, and the samples they become."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from PIL import Image

from solvent.core.types import Accepted

PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
PICTURES, INTS = pa.list_(PICTURE), pa.list_(pa.int64())
TEXT, TEXTS, INT8, INT32, INT64 = (
    pa.string(),
    pa.list_(pa.string()),
    pa.int8(),
    pa.int32(),
    pa.int64(),
)


def picture(number: int) -> dict[str, Any]:
    """A stored picture; equal numbers have equal pixels."""
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (number * 20 % 256, 80, 160)).save(file, "png")
    return {"bytes": file.getvalue(), "path": f"{number}.png"}


@dataclass(frozen=True, kw_only=True)
class Want:
    """What a sample must be."""

    uid: str
    text: str
    options: tuple[str, ...]
    gold: int | Accepted
    groups: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    images: int = 1
    context: str | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """Rows of a table and the samples that they become, in order; a uid may end in "*"."""

    types: Mapping[str, pa.DataType]
    rows: Sequence[Sequence[Any]]
    want: Sequence[Want]

    def table(self) -> pa.Table:
        """The rows in the set's own schema."""
        columns = list(zip(*self.rows, strict=True))
        return pa.table(
            {
                name: pa.array(list(values), type=kind)
                for (name, kind), values in zip(self.types.items(), columns, strict=True)
            }
        )


YES_NO, LETTERS = ("yes", "no"), dict.fromkeys("ABCD", TEXT)

BINARY = {
    "pope": Case(
        types=dict.fromkeys(["id", "question_id", "question", "answer", "image_source"], TEXT)
        | {"image": PICTURE, "category": TEXT},
        rows=[
            ("0", "1", "Is there a snowboard in the image?", "yes", "COCO_1", picture(0), "random"),
            ("1", "1", "Is there a car in the image?", "no", "COCO_1", picture(0), "popular"),
        ],
        want=[
            Want(
                uid="pope/random/1",
                text="Is there a snowboard in the image?",
                options=YES_NO,
                gold=0,
                tags={"category": "random"},
            ),
            Want(
                uid="pope/popular/1",
                text="Is there a car in the image?",
                options=YES_NO,
                gold=1,
                tags={"category": "popular"},
            ),
        ],
    ),
    "hallusionbench": Case(
        types=dict.fromkeys(
            ["category", "subcategory", "visual_input", "set_id", "figure_id", "sample_note"], TEXT
        )
        | dict.fromkeys(
            ["question_id", "question", "gt_answer_details", "gt_answer", "filename"], TEXT
        )
        | {"image": PICTURE},
        rows=[
            ("VD", "illusion", "1", "0", str(figure), "circle", "2", "Is it round?", "It is.")
            + (gold, "./0.png", picture(figure))
            for figure, gold in ((0, "1"), (1, "0"))
        ],
        want=[
            Want(
                uid=f"hallusionbench/VD/illusion/0/{figure}/2",
                text="Is it round?",
                options=YES_NO,
                gold=figure,
                groups={"question": "VD/illusion/0/2", "figure": f"VD/illusion/0/{figure}"},
                tags={"category": "VD", "subcategory": "illusion"},
            )
            for figure in (0, 1)
        ],
    ),
    "mme": Case(
        types={"question_id": TEXT, "image": PICTURE}
        | dict.fromkeys(["question", "answer", "category"], TEXT),
        rows=[
            (path, picture(n), f"{asked} Please answer yes or no.", answer, category)
            for n, (path, category) in enumerate(
                [("OCR/0001.jpg", "OCR"), ("code_reasoning/0020.png", "code_reasoning")]
            )
            for asked, answer in (("Is it a word?", "Yes"), ("Is it a dog?", "No"))
        ],
        want=[
            Want(
                uid=f"mme/{path}/*",
                text=text,
                options=YES_NO,
                gold=gold,
                groups={"image": path},
                tags={"category": category, "ability": ability},
            )
            for path, category, ability in [
                ("OCR/0001.jpg", "OCR", "perception"),
                ("code_reasoning/0020.png", "code_reasoning", "cognition"),
            ]
            for gold, text in enumerate(["Is it a word?", "Is it a dog?"])
        ],
    ),
    "naturalbench": Case(
        types={"Index": INT64, "Image_0": PICTURE, "Image_1": PICTURE}
        | dict.fromkeys(
            ["Question_0", "Image_0_Question_0", "Image_1_Question_0", "Question_1"], TEXT
        )
        | dict.fromkeys(
            ["Image_0_Question_1", "Image_1_Question_1", "Question_Type", "Source"], TEXT
        ),
        rows=[
            (0, picture(0), picture(1), "Is it calm?", "Yes", "No", "Is it wild?", "No", "Yes")
            + ("yes_no", "Flickr30K"),
            (1, picture(2), picture(3), "Which? Option:A:up;B:down;", "A", "B", "Who?", "B", "A")
            + ("multiple_choice", "Flickr30K"),
        ],
        want=[
            Want(
                uid=f"naturalbench/{item}/q{asked}i{shown}",
                text=texts[asked],
                options=options,
                gold=int(asked != shown),
                groups={
                    "item": str(item),
                    "question": f"{item}/q{asked}",
                    "image": f"{item}/i{shown}",
                },
                tags={"type": kind},
            )
            for item, options, kind, texts in [
                (0, YES_NO, "yes_no", ("Is it calm?", "Is it wild?")),
                (1, ("A", "B"), "multiple_choice", ("Which? Option:A:up;B:down;", "Who?")),
            ]
            for asked in (0, 1)
            for shown in (0, 1)
        ],
    ),
    "winoground": Case(
        types={"id": INT32, "image_0": PICTURE, "image_1": PICTURE}
        | dict.fromkeys(["caption_0", "caption_1", "tag", "secondary_tag"], TEXT)
        | {"num_main_preds": INT32, "collapsed_tag": TEXT},
        rows=[
            (7, picture(0), picture(1), "a dog on a cat", "a cat on a dog", "Noun", "", 1, "Object")
        ],
        want=[
            Want(
                uid=f"winoground/7/i{shown}",
                text="What does the picture show?",
                options=("a dog on a cat", "a cat on a dog"),
                gold=shown,
                groups={"item": "7"},
                tags={"tag": "Object"},
            )
            for shown in (0, 1)
        ],
    ),
}
