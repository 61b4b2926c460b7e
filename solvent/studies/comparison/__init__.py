"""Every arm of a study against its control, question by question."""
