"""Grids of labelled photos, put together on the fly, and questions about them with exact answers.

`photos` lists a folder of them, `nouns` says what a class is called in a sentence, `kinds` asks,
`collage` puts the picture together, `mosaic` turns a seed into benchmark samples.
"""
