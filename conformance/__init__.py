"""Is an intervention correct in this family? Asked of tiny random models of every family.

`python -m conformance` builds one model of each architecture that transformers can load with
`AutoModelForImageTextToText`, and runs seven checks on it. None of them needs a checkpoint.
"""
