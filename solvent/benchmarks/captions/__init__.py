"""Captions judged by the objects that they name, by a list of words: no tagger and no judge.

`vocabulary` reads a caption, `naming` compares it with a picture, `hallucination` adds up over all;
`coco` and `amber_queries` are where pictures, questions and gold objects come from.
"""
