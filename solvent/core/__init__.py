"""What everything stands on: the nouns (`types`), files, names, texts, statistics."""
