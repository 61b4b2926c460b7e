"""Attention as a sum over key blocks, computed: the formula, who the rows are, two executions."""
