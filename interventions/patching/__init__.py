"""How a model is made to call the engine: everything that knows transformers."""
