"""What the model is shown: views of a benchmark's samples that keep uid, options and gold.

A condition maps all samples at once, because a donor's picture comes from another sample. It is
deterministic, and paired: all conditions show the same questions, in the same order, without those
for which a condition does not exist. Conditions are orthogonal to interventions: they change the
input, never the attention; `Knock` alone brings an intervention of its own.
"""

from diagnostics.conditions.donors import Swap
from diagnostics.conditions.evidence import MaskEvidence
from diagnostics.conditions.filler import Filler
from diagnostics.conditions.inputs import ImageOnly, Knock, Nothing, Real, Rerun, Text
from diagnostics.conditions.pairs import Pairs
from diagnostics.conditions.placebos import Jpeg, Translate
from diagnostics.conditions.replacements import Blank, Noise, Shuffle
from diagnostics.conditions.severities import Colour, Crop, Mask
from diagnostics.conditions.statements import Congruent, Irrelevant, Mislead
from diagnostics.conditions.wording import Paraphrase

__all__ = [
    "Blank",
    "Colour",
    "Congruent",
    "Crop",
    "Filler",
    "ImageOnly",
    "Irrelevant",
    "Jpeg",
    "Knock",
    "Mask",
    "MaskEvidence",
    "Mislead",
    "Noise",
    "Nothing",
    "Pairs",
    "Paraphrase",
    "Real",
    "Rerun",
    "Shuffle",
    "Swap",
    "Text",
    "Translate",
]
