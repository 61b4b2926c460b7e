"""The life of a run: the nouns (`types`), one cell (`runner`), its files (`results`), and what
people look at (`report`).
"""
