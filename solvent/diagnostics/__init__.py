"""What the model is shown (`conditions`) and, later, what its answers say about how it uses the
image.
"""
