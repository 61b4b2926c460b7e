"""A made set of saved answers: six questions about four pictures, two arms, three conditions.

Worked out by hand, greedy:

    question  gold   picture  shown alone  text alone  both      the conflict goes to
    q1        red    a        Red          blue        "Blue."   text
    q2        two    a        two          three       two       image
    q3        cat    b        dog          cat         cat       text (the picture alone is wrong)
    q4        dog    b        dog          fish        horse     a third answer
    q5        blue   c        green        green       green     no conflict
    q6        ball   d        ball         cube        Cube      text

Right: shown alone 4 of 6, beside the text 2, text alone 1. Of 5 conflicts the text has 3, the image
1; of the 4 in which the picture alone is right the text has 2 (q1, q6), the image 1 (q2).
Sampled, shown alone: right in q1, q3 and q4, so that greedy wins q2 and q6 and loses q3.
"""

from __future__ import annotations

import csv
import gzip
import importlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

GOLD = {"q1": "red", "q2": "two", "q3": "cat", "q4": "dog", "q5": "blue", "q6": "ball"}
PICTURES = dict(zip(GOLD, "aabbcd", strict=True))
SAID = {
    "shown": ("Red", "two", "dog", "dog", "green", "ball"),
    "told": ("blue", "three", "cat", "fish", "green", "cube"),
    "both": ("Blue.", "two", "cat", "horse", "green", "Cube"),
}
SAMPLED = SAID | {"shown": ("red", "three", "cat", "dog", "green", "cube")}
MAPPING = """
# Answers that were made up.
defaults: [kind/saved@_here_, _self_]
name: made
conditions: {real: the picture, both: the picture and a text, text: the text alone}
benchmark:
  name: made_set
  source:
    tables:
      root: FOLDER
      obtain: make it
      layouts:
        - {_target_: solvent.benchmarks.saved.saved_files.Layout, file: QUESTIONS, over: {}}
    sample:
      uid: "made/{id}"
      text: "{question}"
      gold: {from: gold, free: text}
      groups: {picture: "{picture}"}
      tags: {kind: "{kind}"}
answers:
  tables:
    root: FOLDER
    obtain: make it
    layouts:
      - _target_: solvent.benchmarks.saved.saved_files.Layout
        file: "{arm}ENDING"
        over: {arm: {greedy: greedy, sampled: sample}}
  uid: "made/{id}"
  model: somebody
  arm: "{arm}"
  condition:
    {from: condition, as: looked_up, table: {shown: real, told: text, both: both, "*": odd}}
  answer: {from: said}
  repeats: {text: {from: question}}
tests:
  following:
    _target_: solvent.diagnostics.generated.text_following.TextFollowing
    both: both
    text_alone: text
    margin: 0.0
    most_invalid: 0.0
"""
Rows = list[dict[str, Any]]
COMMAND = importlib.import_module("solvent.commands.import")  # `import` is a word of Python


def questions() -> Rows:
    return [
        {
            "id": uid,
            "question": f"What is {uid}?",
            "gold": GOLD[uid],
            "picture": PICTURES[uid],
            "kind": "number" if uid == "q2" else "other",
        }
        for uid in GOLD
    ]


def answers(said: Mapping[str, Sequence[str]]) -> Rows:
    return [
        {"id": uid, "question": f"What is {uid}?", "condition": condition, "said": text}
        for condition, texts in said.items()
        for uid, text in zip(GOLD, texts, strict=True)
    ]


def written(rows: Rows, path: Path) -> None:
    """As the end of the file's name says."""
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    if kind == "jsonl":
        text = "".join(f"{json.dumps(row)}\n" for row in rows)
    elif kind == "json":
        text = json.dumps(rows)
    else:
        stream = io.StringIO()
        writer = csv.DictWriter(stream, list(rows[0]), delimiter="\t" if kind == "tsv" else ",")
        writer.writeheader()
        writer.writerows(rows)
        text = stream.getvalue()
    content = text.encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def made(
    place: Path,
    ending: str = ".jsonl",
    change: Callable[[dict[str, Rows]], None] = lambda tables: None,
    mapping: str = MAPPING,
) -> str:
    """Write the set and a folder of definitions with its mapping; the setting that names that."""
    folder, own = place / "saved", place / "mine"
    folder.mkdir(parents=True)
    (own / "import").mkdir(parents=True)
    tables = {
        "questions": questions(),
        "greedy": answers(SAID),
        "sample": answers(SAMPLED),
    }
    change(tables)
    for name, rows in tables.items():
        written(rows, folder / f"{name}{ending}")
    names = {"FOLDER": str(folder), "QUESTIONS": f"questions{ending}", "ENDING": ending}
    for name, value in names.items():
        mapping = mapping.replace(name, value)
    (own / "import/made.yaml").write_text(mapping)
    return f"--config-dir={own}"
