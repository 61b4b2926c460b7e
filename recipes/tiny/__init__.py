"""The shipped model `tiny`: a LLaVA of 1.7 million parameters trained on the procedural world of
`solvent.benchmarks.shapes`.

This is the recipe of what lies in solvent/models/checkpoints/ (weights, tokenizer, processor, model
card): `text` and `architecture` build it, `lessons` makes the training batches, `train` trains it,
`card` measures it.
"""
