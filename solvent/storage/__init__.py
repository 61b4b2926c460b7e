"""A cell on disk: its folder, its lines, who works on it, which runs answered it."""
