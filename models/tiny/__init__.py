"""The shipped model `tiny`: a LLaVA of 1.7 million parameters trained on the procedural world of
`benchmarks.shapes`.

This folder is the checkpoint (weights, tokenizer, processor, model card) and its recipe:
`text` and `architecture` build it, `lessons` makes the training batches, `train` trains it, `card`
measures it.
"""
