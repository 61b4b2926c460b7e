"""Captions judged by the objects that they name, by a vocabulary: no tagger and no judge.

`mentions` reads a caption, `naming` compares it with a picture, `scores` adds up over pictures;
`coco` and `amber_queries` are where pictures, questions and gold objects come from.
"""
