"""One of several processes, each with a replica of the model and a part of the batches.

python -m torch.distributed.run --nproc-per-node 2 -m tests.interventions.replica FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from interventions import intervene, load
from tests.random_models import random_inputs, random_model

BATCHES = (0, 1, 2)  # seeds: more than one process gets
LENGTHS = (7, 5)


def results(family: str, name: str, batches: tuple[int, ...]) -> dict[int, dict[str, Any]]:
    """Logits, answers and measurements of each batch."""
    model, found = random_model(family), {}
    with torch.no_grad(), intervene(model, load(name)) as log:
        for seed in batches:
            inputs = random_inputs(model, LENGTHS, seed=seed)
            log.expect([f"{seed}-{row}" for row in range(len(LENGTHS))])
            output = model.generate(
                **inputs,
                max_new_tokens=3,
                do_sample=False,
                output_logits=True,
                return_dict_in_generate=True,
            )
            mass = torch.from_numpy(log.take().layer_mass_after)
            found[seed] = {"logits": output.logits, "answers": output.sequences, "mass": mass}
    return found


def main() -> None:
    state = PartialState(cpu=True)
    with state.split_between_processes(list(BATCHES)) as part:
        for family in ("llava", "qwen2_5_vl"):
            found = results(family, "gaussian", tuple(part))
            file = f"{family}-{state.process_index}-of-{state.num_processes}.pt"
            torch.save(found, Path(sys.argv[1]) / file)
    state.destroy_process_group()


if __name__ == "__main__":
    main()
