"""What a gain would be without looking any better: controls of the arms of a study."""
