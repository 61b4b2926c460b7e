"""Run one cell: a model x a benchmark x an intervention.

python evaluate.py                      # tiny, shapes, learned
python evaluate.py model=qwen2_5_vl_7b benchmark=nlvr intervention=uniform
python evaluate.py -m intervention=learned,uniform seed=0,1    # one model load, four cells
python evaluate.py --help               # every group and its choices
"""

from __future__ import annotations

from solvent.commands.evaluate import command, main

if __name__ == "__main__":
    command.run(main)
