"""What a definition names: where, which pattern, which mass, how much."""
