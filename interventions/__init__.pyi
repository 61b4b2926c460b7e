"""Written by `python -m tools.stub` from interventions/__init__.py and conf/intervention."""

from collections.abc import Sequence
from typing import Any, Protocol

from interventions.errors import InterventionError as InterventionError
from interventions.looking.capture import capture as capture
from interventions.looking.log import AttentionLog as AttentionLog
from interventions.looking.log import Measurement as Measurement
from interventions.looking.shares import shares as shares
from interventions.methods.definitions import available as available
from interventions.methods.definitions import load as load
from interventions.methods.heads import HeadRule
from interventions.methods.intervention import Intervention as Intervention
from interventions.methods.masses import Mass
from interventions.methods.patterns.pattern import Pattern
from interventions.methods.probes import Probe
from interventions.methods.scaling import Calibration
from interventions.patching.conversation import turns as turns
from interventions.patching.patch import intervene as intervene

__all__ = [
    "AttentionLog",
    "Intervention",
    "InterventionError",
    "Measurement",
    "__version__",
    "available",
    "capture",
    "intervene",
    "load",
    "shares",
    "turns",
]

__version__: str

class _Named(Protocol):
    def __call__(
        self,
        *,
        layers: str | int | Sequence[int] = ...,
        heads: str | int | Sequence[int] | HeadRule = ...,
        rows: int | Sequence[str | int] = ...,
        keys: int | Sequence[str | int] = ...,
        probe: Probe | None = ...,
        phase: str = ...,
        pattern: Pattern = ...,
        calibration: Calibration | None = ...,
        mass: Mass = ...,
        mix: float = ...,
        mix_domain: str = ...,
        value_gain: float = ...,
        head_gain: float = ...,
        scope: str = ...,
        seed: int = ...,
        **parts: Any,
    ) -> Intervention:
        """The intervention of a file, with some fields replaced; a dot reaches into a part."""

ad_hh: _Named
"""AD-HH (https://github.com/TianyunYoung/Hallucination-Attribution): heads that look mainly at
the text after the image lose that text; the row no longer sums to one."""

adapt_vis: _Named
"""AdaptVis (https://github.com/shiqichen17/AdaptVis): ScalingVis with a factor chosen for every
sample by a first, unedited pass: flatten the visual scores where the model is unsure, sharpen
them where it is sure."""

attnreal: _Named
"""AttnReal, as far as its abstract defines it (no code is known): generated tokens that receive
outsized attention give part of it to the image. Both numbers are ours."""

caac: _Named
"""Adaptive attention re-scaling of CAAC (https://github.com/mehrdadfazli/CAAC): visual scores of
all rows times a factor that grows as the model gets less sure. Confidence is that of the
first answer token; the source measures every token again."""

caac_vtc: _Named
"""Visual token calibration of CAAC (https://github.com/mehrdadfazli/CAAC): visual scores times a
factor per layer, head and token that would flatten the attention on a meaningless image. Made
by `python -m solvent calibrate intervention=caac_vtc` with the same model and benchmark."""

causalmm: _Named
"""The decoder side of CausalMM (https://github.com/The-Martyr/CausalMM): equal weights
normalised over the whole prompt before the future is masked, so that row i of n sums to (i +
1) / n. Its other two maps are the patterns UniformNoise and Inverted; the share that they
leave to the past depends on the draw and on the scores in the source, here it stays (i + 1) /
n. Its contrastive decoding is not included."""

devils: _Named
"""Head-guided lifting
(https://github.com/ZhangqiJiang07/middle_layers_indicating_hallucinations): visual scores are
lifted by a multiple of their mean magnitude over heads."""

dirichlet: _Named
"""The pattern over image tokens is one draw from a symmetric Dirichlet distribution; visual mass
kept."""

donor: _Named
"""The learned pattern of another sample, chosen by the name of this one among those of a
calibration split; mass kept. Made by `python -m solvent calibrate intervention=donor` with
the same model and benchmark."""

fastv_mask: _Named
"""FastV (https://github.com/pkunlp-icler/FastV) as a mask: image tokens that the last prompt
token attends to least in layer 1 are invisible from layer 2 on. The saving of time is not
reproduced, the function is."""

fixed_center: _Named
"""A Gaussian around the centre of the picture, the same for every question; visual mass kept."""

fixed_complexity: _Named
"""Image tokens weighted by how busy their patch is, the same for every question; visual mass
kept. The prior of https://github.com/Lrbomchz/vlms_lost_in_attn, used as a distribution and
with its mass held fixed."""

fixed_encoder: _Named
"""Image tokens weighted by the attention they received in the last layer of the vision encoder;
visual mass kept. The prior of https://github.com/Lrbomchz/vlms_lost_in_attn, used as a
distribution and with its mass held fixed."""

fixed_file: _Named
"""A vector of your own, one weight per image token, the same for every sample; visual mass kept."""

fixed_kernel: _Named
"""Hard-coded Gaussian attention: the whole row follows the distance between tokens alone. You et
al. 2020, https://arxiv.org/abs/2005.00742 (which does not normalise again after masking the
future; this does)."""

fixed_mean: _Named
"""The mean learned pattern over image tokens of a calibration split, per layer and head; visual
mass kept. Made by `python -m solvent calibrate intervention=fixed_mean` with the same model
and benchmark."""

fixed_region: _Named
"""Image tokens weighted by how much of them lies in the boxes that matter for the question;
visual mass kept. The key-region prior of arXiv:2605.05668. Boxes come with the samples, from
benchmarks that have them."""

fixed_sink: _Named
"""Everything a row attends to is its first token, the sink of most decoders: attention that
reads nothing."""

gaussian: _Named
"""Scores on image tokens become Gaussian noise with the mean and standard deviation they had;
visual mass kept. The noise of "Large VLMs Get Lost in Attention" (arXiv:2605.05668) as its
text describes it, its mass held fixed."""

gaussian_scores: _Named
"""Scores on image tokens become Gaussian noise with the mean and standard deviation they had;
the softmax decides the mass. The twin of `gaussian`: comparing both separates what the
pattern does from what the mass does."""

highlight: _Named
"""Prompt Highlighter (https://github.com/dvlab-research/Prompt-Highlighter), its attention part
with the image highlighted: log 7 is added to the scores of the highlighted tokens. Its
guidance between two streams of logits is not included."""

knockout: _Named
"""Attention knockout: the chosen rows cannot see the image; the rest of the row absorbs its
share. Geva et al. 2023, https://arxiv.org/abs/2304.14767; roles x roles and windows of layers
by `rows`, `keys` and `layers`."""

learned: _Named
"""Untouched control: bit-identical to the unpatched model, with visual mass measured. Every
other file here starts from this one and states what differs."""

learned_prior: _Named
"""A static pattern and mass per layer and head, fitted by gradient descent with the model
frozen: what attention could be replaced by if it did not have to look. The other reading of
"learned replacement". Made by `python -m solvent calibrate intervention=learned_prior` with
the same model and benchmark."""

pai: _Named
"""PAI (https://github.com/LALBJ/PAI): visual scores are lifted by a multiple of their magnitude.
Its contrastive decoding is not included."""

pasta: _Named
"""PASTA (https://arxiv.org/abs/2311.02262) with the image as the highlighted span: weights on
everything else times 0.01, then normalised. The source edits profiled heads only; give a
Table of them."""

permuted: _Named
"""The learned weights of a row dealt to its image tokens in random order; visual mass and
entropy kept."""

reversed: _Named
"""The learned weights of a row on its image tokens in reverse order; visual mass and entropy
kept."""

reweight: _Named
"""More (or less) attention to the image: log c is added to the visual scores, the softmax
decides."""

reweight_leak: _Named
"""Image weights times c, the others untouched, so that the row no longer sums to one: the
reweighting probe of https://github.com/TianyunYoung/Hallucination-Attribution. Its normalised
twin is `reweight`."""

sap_as_described: _Named
"""The noise of "Large VLMs Get Lost in Attention" (arXiv:2605.05668) as its text describes it:
visual scores of the answering rows become Gaussian noise of the same mean and standard
deviation, and the softmax decides the mass."""

sap_llava: _Named
"""What the released code of "Large VLMs Get Lost in Attention" does to LLaVA-1.5
(https://github.com/Lrbomchz/vlms_lost_in_attn): noise of the size of half the mean score."""

sap_llava_onevision: _Named
"""What the released code of "Large VLMs Get Lost in Attention" does to LLaVA-OneVision
(https://github.com/Lrbomchz/vlms_lost_in_attn), with the head band of its LLaVA script: the
default of its own script, 0.1 to 0.11, holds no head of 14, 28 or 64, so the published
command edits nothing."""

sap_qwen2_5_vl: _Named
"""What the released code of "Large VLMs Get Lost in Attention" does to Qwen2.5-VL
(https://github.com/Lrbomchz/vlms_lost_in_attn). Nearly uniform within the image, with its
scores pinned near zero: what really changes is the mass."""

scaling_vis: _Named
"""ScalingVis (https://github.com/shiqichen17/AdaptVis): visual scores times c in the last prompt
row. A temperature, not "more attention": c > 1 lowers negative scores."""

spin: _Named
"""SPIN (https://github.com/YUECHE77/SPIN): the heads that look least at the image are turned
down."""

uniform: _Named
"""Every image token of a row receives the same weight; the visual mass of the row is kept."""

uniform_row: _Named
"""Every key of a row, image or text, receives the same weight: text no longer mixes with text
either."""

vaf: _Named
"""VAF of ClearSight (https://github.com/ustc-hyin/ClearSight): in the middle layers visual
scores times 1.15, scores of the text before the image times 0.95."""

var_sinks: _Named
"""Visual attention redistribution (https://github.com/seilk/VisAttnSink): heads that look at the
image, but not mainly at its sinks, give part of what sinks receive to the other image tokens."""
