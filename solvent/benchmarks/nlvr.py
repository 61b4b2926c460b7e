"""NLVR's own format of predictions.

Suhr, Lewis, Yeh and Artzi (2017), A Corpus of Natural Language for Visual Reasoning,
https://github.com/lil-lab/nlvr
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from solvent.core.files import write_atomically
from solvent.core.types import Prediction


@dataclass(frozen=True, kw_only=True)
class OfficialCSV:
    """One line `dev-<identifier>-<permutation>.png,<true|false>` per image, no header.

    The official `metrics_images.py` reads it; that script reports accuracy (which it calls
    precision) and consistency, and refuses a file that lacks an image, as a limited run's does.
    An answer that could not be read stands there as its status ("none", "ambiguous", "error"),
    which the script counts as wrong.

    Attributes:
        file: name of the file inside the run's folder.
        answers: the options, in their order.
    """

    file: str
    answers: Sequence[str]

    def __call__(self, predictions: Sequence[Prediction], folder: Path) -> Path:
        """Write the predictions of one condition; the path of the file."""
        target = Path(folder) / self.file
        lines = [f"{self._image(row.uid)},{self._answer(row)}\n" for row in predictions]
        write_atomically(target, "".join(lines))
        return target

    def _answer(self, prediction: Prediction) -> str:
        if prediction.status != "ok" or prediction.parsed is None:
            return prediction.status
        return self.answers[prediction.parsed]

    @staticmethod
    def _image(uid: str) -> str:
        """The image's file name: uid "nlvr/dev/1572-0-3" is "dev-1572-0-3.png"."""
        _, split, key = uid.split("/")
        return f"{split}-{key}.png"
