"""Folders of sets that are not on the hub, as a user has them, and the samples they become."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from tests.benchmarks.set_rows import YES_NO, Want

TRUE_FALSE = ("true", "false")


@dataclass(frozen=True, kw_only=True)
class Folder:
    """Files and pictures below a data folder, and the samples that they become, in order."""

    files: Mapping[str, str]
    pictures: Sequence[str]
    want: Sequence[Want]

    def write(self, root: Path) -> None:
        """Write all of it."""
        for path, text in self.files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        for number, path in enumerate(self.pictures):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (64, 48), (number * 20 % 256, 80, 160)).save(root / path)


def array(*rows: Mapping[str, Any]) -> str:
    """A JSON array."""
    return json.dumps(rows)


AMBER = [  # id, picture, question, type, truth, dimension
    (1005, 1, "Is the sky sunny in this image?", "attribute-state", "yes", "attribute"),
    (1006, 1, "Is the sky gloomy in this image?", "attribute-state", "no", "attribute"),
    (11077, 1, "Is there a sofa in this image?", "hallucination", "no", "existence"),
    (14000, 2, "Does the cat touch the box?", "relation", "yes", "relation"),
    (14001, 2, "Does the dog touch the box?", None, "no", "relation"),  # its type is "relation"
]


def vsr(split: str, *rows: tuple[str, str, int, str, str]) -> Folder:
    """VSR: picture, caption, label, relation, category."""
    return Folder(
        files={
            f"data/splits/{split}/test.jsonl": "".join(
                json.dumps(
                    {
                        "image": image,
                        "image_link": f"http://images.cocodataset.org/train2017/{image}",
                        "caption": caption,
                        "label": label,
                        "relation": relation,
                        "subj": "cat",
                        "obj": "box",
                        "annotator_id": 2,
                        "vote_true_validator_id": "[18, 2]",
                        "vote_false_validator_id": "[1]",
                    }
                )
                + "\n"
                for image, caption, label, relation, _ in rows
            )
        },
        pictures=[f"data/images/{row[0]}" for row in rows],
        want=[
            Want(
                uid=f"vsr/{split}/{image}/{caption}",
                text=f"{caption}\nIs this statement about the image true or false?",
                options=TRUE_FALSE,
                gold=1 - label,
                groups={"image": image},
                tags={"relation": relation, "category": category},
            )
            for image, caption, label, relation, category in rows
        ],
    )


WORLD, OURS = "In a desert it rains all year.", "In a desert it hardly rains."
CLOUD, CAMEL = (f"There is {noun} in the given image." for noun in ("a cloud", "a camel"))
WET, DRY = "Deserts are wet.", "Deserts are dry."
STAGES = [  # stage, picture, basis, told, (statement, truth) twice
    ("knowledge", "0", "common sense", None, ((DRY, "true"), (WET, "false"))),
    ("perception", "10", "the image", None, ((CLOUD, "true"), (CAMEL, "false"))),
    ("bias", "10", "the context", WORLD, ((WET, "true"), (DRY, "false"))),
    ("prior", "2", "the image", None, ((WET, "true"), (DRY, "false"))),
    ("prior", "10", "the image", None, ((WET, "true"), (DRY, "false"))),
]
CONTEXT = {
    "concept": "climate",
    "context_id": 7,
    "context": WORLD,
    "factual_context": OURS,
    "true_statement": WET,
    "false_statement": DRY,
    "existent_noun": "a cloud",
    "non-existent_noun": "a camel",
    "best_img_id": "10",
    "aggregated_human_label_good_images": {"10": 3, "2": 2, "3": 1},
}
NO_GOOD = CONTEXT | {"context_id": 8, "aggregated_human_label_good_images": {"10": 1}}

FEW_FOLDERS = {
    "amber": Folder(
        files={
            "data/query/query_discriminative.json": array(
                *(
                    {"id": key, "image": f"AMBER_{shown}.jpg", "query": asked}
                    for key, shown, asked, *_ in AMBER
                )
            ),
            "data/annotations.json": array(
                {"id": 1, "type": "generative", "truth": ["sky"], "hallu": ["sea"]},
                *(
                    {"id": key, "type": f"discriminative-{kind}" if kind else "relation"}
                    | {"truth": truth}
                    for key, _, _, kind, truth, _ in reversed(AMBER)
                ),
            ),
        },
        pictures=["image/AMBER_1.jpg", "image/AMBER_2.jpg"],
        want=[
            Want(
                uid=f"amber/{key}",
                text=asked,
                options=YES_NO,
                gold=YES_NO.index(truth),
                groups={"image": f"AMBER_{shown}.jpg"},
                tags={"dimension": dimension, "type": kind or "relation"},
            )
            for key, shown, asked, kind, truth, dimension in AMBER
        ],
    ),
    "vsr": vsr(
        "zeroshot",
        ("000000017697.jpg", "The cat is behind the box.", 1, "behind", "projective"),
        ("000000017697.jpg", "The cat is inside the box.", 0, "inside", "topological"),
    ),
    "vsr_random": vsr(
        "random",
        ("000000000650.jpg", "The cat is off the box.", 1, "off", "directional"),
        ("000000000651.jpg", "The cat is amid boxes.", 0, "amid", "other"),
    ),
    "vlind": Folder(
        files={"data.json": array(CONTEXT, NO_GOOD)},
        pictures=[
            f"factual/climate/7_{OURS}/0.jpg",
            *(f"counterfactual/climate/7_{WORLD}/{number}.jpg" for number in (2, 10)),
        ],
        want=[
            Want(
                uid=f"vlind/climate/7/{stage}/{number}/{truth}",
                text=f"Statement: {statement}\n"
                f"Based on {basis}, is the given statement true or false?",
                options=TRUE_FALSE,
                gold=TRUE_FALSE.index(truth),
                groups={"context": "climate/7", "picture": f"climate/7/{stage}/{number}"},
                tags={"stage": stage, "concept": "climate"},
                context=told,
            )
            for stage, number, basis, told, statements in STAGES
            for statement, truth in statements
        ],
    ),
}
