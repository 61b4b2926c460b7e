"""Every arm of a study against its control, and what may be claimed of it."""
