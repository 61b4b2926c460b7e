"""Where else results go. The files of the cell are the record; a tracker is a mirror of them, and
never the reason that a run fails.
"""

from solvent.tracking.lines import JsonLines
from solvent.tracking.nowhere import NoTracking
from solvent.tracking.weights_and_biases import WandB

__all__ = ["JsonLines", "NoTracking", "WandB"]
