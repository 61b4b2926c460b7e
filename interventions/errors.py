"""What this package raises when an intervention cannot be carried out."""


class InterventionError(ValueError):
    """The intervention cannot be carried out as defined."""
