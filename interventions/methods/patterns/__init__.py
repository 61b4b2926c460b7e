"""What replaces the learned pattern inside a block: one small class for each kind."""

from interventions.methods.patterns.drawn import Dirichlet, Gaussian, Normal, UniformNoise
from interventions.methods.patterns.kernels import PositionalKernel
from interventions.methods.patterns.pattern import AsLogits, Learned, OneHot, Pattern, Uniform
from interventions.methods.patterns.pictured import (
    Box,
    CentreGaussian,
    EncoderAttention,
    PatchComplexity,
    Picture,
    Prior,
    Regions,
)
from interventions.methods.patterns.rearranged import Inverted, Permuted, Reversed
from interventions.methods.patterns.scaled import (
    AdaptiveScale,
    CautiousScale,
    Lift,
    Scale,
    StoredScale,
)
from interventions.methods.patterns.stored import Stored

__all__ = [
    "AdaptiveScale",
    "AsLogits",
    "Box",
    "CautiousScale",
    "CentreGaussian",
    "Dirichlet",
    "EncoderAttention",
    "Gaussian",
    "Inverted",
    "Learned",
    "Lift",
    "Normal",
    "OneHot",
    "PatchComplexity",
    "Pattern",
    "Permuted",
    "Picture",
    "PositionalKernel",
    "Prior",
    "Regions",
    "Reversed",
    "Scale",
    "Stored",
    "StoredScale",
    "Uniform",
    "UniformNoise",
]
