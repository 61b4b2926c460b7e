"""What the model is shown: views of a benchmark's samples that keep uid, options and gold.

A condition maps all samples at once, because a donor's picture comes from another sample. It is
deterministic, and paired: all conditions show the same questions, in the same order, without those
for which a condition does not exist. Conditions are orthogonal to interventions: they change the
input, never the attention; `Knock` and `Intervened` bring an intervention of their own.
"""

from solvent.diagnostics.conditions.donors import Swap
from solvent.diagnostics.conditions.embeddings import NoiseEmbeddings
from solvent.diagnostics.conditions.evidence import MaskEvidence
from solvent.diagnostics.conditions.filler import Filler, RepeatedImage
from solvent.diagnostics.conditions.modalities import (
    Caption,
    ImageOnly,
    Intervened,
    Knock,
    Nothing,
    Real,
    Rerun,
    Text,
    Told,
)
from solvent.diagnostics.conditions.pairs import Pairs
from solvent.diagnostics.conditions.placebos import Jpeg, Translate
from solvent.diagnostics.conditions.replacements import Blank, Blur, Noise, Shuffle
from solvent.diagnostics.conditions.severities import Colour, Crop, Mask
from solvent.diagnostics.conditions.statements import Congruent, Irrelevant, Mislead
from solvent.diagnostics.conditions.swapping.block_swap import BlockSwap, FittedSwap
from solvent.diagnostics.conditions.swapping.midway import SwapMidway
from solvent.diagnostics.conditions.wording import Paraphrase

__all__ = [
    "Blank",
    "BlockSwap",
    "Blur",
    "Caption",
    "Colour",
    "Congruent",
    "Crop",
    "Filler",
    "FittedSwap",
    "ImageOnly",
    "Intervened",
    "Irrelevant",
    "Jpeg",
    "Knock",
    "Mask",
    "MaskEvidence",
    "Mislead",
    "Noise",
    "NoiseEmbeddings",
    "Nothing",
    "Pairs",
    "Paraphrase",
    "Real",
    "RepeatedImage",
    "Rerun",
    "Shuffle",
    "Swap",
    "SwapMidway",
    "Text",
    "Told",
    "Translate",
]
