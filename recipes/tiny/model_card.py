"""Write the model card of `tiny` from finished cells.

python evaluate.py experiment=card
python -m recipes.tiny.model_card
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from recipes.tiny.lessons import best_blind_guesses
from solvent.benchmarks.shapes.generated import Shapes

HERE = Path(__file__).parents[2] / "solvent/models/checkpoints/tiny"
CONDITIONS = {"real": "right image", "text": "no image", "swap": "another's image", "blank": "grey"}
BENCHMARKS = {"shapes": "balanced", "shapes_prior": "prior"}
HEAD = """---
license: apache-2.0
pipeline_tag: image-text-to-text
---

# tiny

A vision-language model of {parameters:.2f} million parameters ({megabytes:.1f} MB): a SigLIP tower
of 3 layers and a Llama decoder of 6, joined as in LLaVA. It answers questions about coloured shapes
on a 64 x 64 picture (`benchmark=shapes`), truly by looking, and guesses by language priors when
there is no picture. It is made to be experimented on, on a laptop; it knows nothing else.

```python
from transformers import AutoModelForImageTextToText, AutoProcessor

folder = "solvent/models/checkpoints/tiny"
model = AutoModelForImageTextToText.from_pretrained(folder, dtype="float32")
processor = AutoProcessor.from_pretrained(folder)
```

Trained from scratch by `python -m recipes.tiny.train` (default arguments), which is resumable; the
data are drawn on the fly. Licence: Apache-2.0, weights and code. This card is written by
`python -m recipes.tiny.model_card` from the cells of `python evaluate.py experiment=card`.

## How well it sees

Accuracy in percent by ranking the candidate answers, with 95 % intervals, {questions:,} fresh
questions per type and split. *Balanced*: every answer equally likely. *Prior*: as the world's
language priors make them. *Best blind guess*: the most frequent answer to the very same words in
the model's text-only training, which is what "no image" should come to. In `override` a false
caption is asserted and the picture's colour is asked: who trusts captions blindly is almost always
wrong.
"""


def main() -> None:
    """Read the cells and write `README.md` beside the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", default="outputs/card", help="folder of the study's cells")
    cells = read_cells(Path(parser.parse_args().study))
    guesses = best_blind_guesses()
    weights = HERE / "model.safetensors"
    questions = next(iter(cells["shapes", "real"]["score"]["by_tag"]["kind"].values()))["n"]
    parts = [
        HEAD.format(
            parameters=count_parameters(weights) / 1e6,
            megabytes=weights.stat().st_size / 1e6,
            questions=questions,
        )
    ]
    for benchmark, law in BENCHMARKS.items():
        parts += [f"\n### {law.capitalize()}\n", *table(benchmark, law, questions, cells, guesses)]
    (HERE / "README.md").write_text("\n".join(parts) + "\n", encoding="utf-8")


def read_cells(study: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Metrics by (benchmark, condition). Raises `FileNotFoundError` when one is missing."""
    found = [json.loads(path.read_text()) for path in study.glob("tiny/*/*/metrics.json")]
    cells = {(metrics["benchmark"], metrics["condition"]): metrics for metrics in found}
    for benchmark in BENCHMARKS:
        for condition in CONDITIONS:
            if (benchmark, condition) not in cells:
                raise FileNotFoundError(
                    f"{study} has no finished cell of {benchmark} shown {condition}; "
                    "run `python evaluate.py experiment=card` first"
                )
    return cells


def blind_accuracy(law: str, kind: str, questions: int, guesses: dict[str, str]) -> float:
    """How often the best blind guess is right on a split; an unseen question counts as a coin."""
    samples = Shapes(law=law, kinds=[kind], questions=questions, seed=0)()
    right = [
        guesses[sample.text] == sample.options[sample.gold]
        if sample.text in guesses
        else 1 / len(sample.options)
        for sample in samples
    ]
    return float(np.mean(right))


def table(
    benchmark: str,
    law: str,
    questions: int,
    cells: dict[tuple[str, str], dict[str, Any]],
    guesses: dict[str, str],
) -> list[str]:
    """Markdown rows: one per question type."""
    slices = {name: cells[benchmark, name]["score"]["by_tag"]["kind"] for name in CONDITIONS}
    lines = [
        f"| question type | {' | '.join(CONDITIONS.values())} | best blind guess |",
        f"| --- |{' ---: |' * (len(CONDITIONS) + 1)}",
    ]
    for kind in slices["real"]:
        estimates = [show(slices[name][kind]) for name in CONDITIONS]
        guess = 100 * blind_accuracy(law, kind, questions, guesses)
        lines.append(f"| {kind} | {' | '.join(estimates)} | {guess:.1f} |")
    means = [show(cells[benchmark, name]["score"]) for name in CONDITIONS]
    lines.append(f"| mean of types | {' | '.join(means)} | |")
    return lines


def show(estimate: dict[str, Any]) -> str:
    """`93.2 [91.0, 95.1]`"""
    value, low, high = (100 * estimate[key] for key in ("value", "low", "high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def count_parameters(weights: Path) -> int:
    """Numbers in a safetensors file; tied weights are stored once."""
    with safe_open(weights, "numpy") as file:
        return sum(int(np.prod(file.get_slice(name).get_shape())) for name in file.keys())  # noqa: SIM118


if __name__ == "__main__":
    main()
