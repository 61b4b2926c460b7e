"""Where else results go. The files of the cell are the record; a tracker is a mirror of them, and
never the reason that a run fails.
"""

from evaluation.tracking.lines import JsonLines
from evaluation.tracking.nowhere import NoTracking
from evaluation.tracking.weights_and_biases import WandB

__all__ = ["JsonLines", "NoTracking", "WandB"]
