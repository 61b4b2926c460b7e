"""The recipe that fits: a static pattern and mass per layer and head, with the model frozen.

Axes: S samples, L layers, H heads, N image tokens, C candidates, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div

from interventions.methods.selectors import check_choice
from interventions.methods.tensor_recipes import Group, Made, Recipe, look
from interventions.methods.trainable import trainable

SMALLEST = 1e-6  # weight of a token at the start, so that its logit is finite
ABSENT = -1e30  # log-probability of a candidate that a sample does not have
TARGETS = ("next_token", "candidates", "gold")

Answers = tuple[Float[Tensor, "sample vocabulary"], Float[Tensor, "sample candidate"]]


@dataclass(frozen=True, kw_only=True)
class FittedPrior(Recipe):
    """`pattern` (1, L, H, N) and `mass_logit` (L, H), by gradient descent (Adam) on a loss.

    Target "next_token": KL divergence of the edited from the unedited model, of the next token at
    the last prompt row. Target "candidates": the same plus that of the choice between the candidate
    answers, which costs a pass per candidate. Target "gold": cross-entropy of the right candidate
    among the candidates. All in nats, means over samples. The start is the mean learned pattern and
    the mean mass; whichever of start and end has the lower loss is kept.
    """

    depends_on_intervention: ClassVar[bool] = True
    target: str
    steps: int  # of gradient descent, one group of samples each
    learning_rate: float  # of Adam, in logits
    regularisation: float  # times the mean squared distance of the logits from the start

    def __post_init__(self) -> None:
        check_choice(self.target, TARGETS, "target")

    def passes(self, groups: int) -> int:
        return (3 if self.target == "gold" else 4) * groups + self.steps

    def make(
        self,
        model: Any,
        intervention: Any,
        groups: Sequence[Group],
        advance: Callable[[], None],
    ) -> Made:
        seen = look(model, groups, 1, advance)
        pattern = torch.stack([sample.pattern[:, :, -1] for sample in seen]).mean(dim=0)
        mass = torch.stack([sample.mass[:, :, -1] for sample in seen]).mean(dim=0)
        start = (pattern.clamp_min(SMALLEST).log(), mass.clamp(SMALLEST, 1 - SMALLEST).logit())
        loss = Loss(model, intervention, groups, self.target, advance)
        fitted = self._descend(loss, start)
        before, after = loss.total(start), loss.total(fitted)
        kept = fitted if after < before else start
        return Made(
            tensors={"pattern": kept[0].softmax(dim=-1)[None], "mass_logit": kept[1]},
            report={"loss_before": before, "loss_after": after},
        )

    def _descend(self, loss: Loss, start: Sequence[Tensor]) -> list[Tensor]:
        logits = [tensor.clone().requires_grad_() for tensor in start]
        optimiser = torch.optim.Adam(logits, lr=self.learning_rate)
        for number in islice(cycle(range(len(loss.groups))), self.steps):
            pulled = [(now - then).square().mean() for now, then in zip(logits, start, strict=True)]
            value = loss.of(number, logits) + self.regularisation * sum(pulled)
            gradients = torch.autograd.grad(value, logits)
            for tensor, gradient in zip(logits, gradients, strict=True):
                tensor.grad = gradient
            optimiser.step()
            loss.advance()
        return [tensor.detach() for tensor in logits]


class Loss:
    """What a pattern and a mass are fitted to, on the groups of a calibration split."""

    def __init__(
        self,
        model: Any,
        intervention: Any,
        groups: Sequence[Group],
        target: str,
        advance: Callable[[], None],
    ) -> None:
        self.model, self.intervention, self.groups = model, intervention, groups
        self.advance, self.target = advance, target
        self.unedited: list[Answers] = []
        if target != "gold":
            with torch.no_grad():
                self.unedited = [self._answers(group) for group in groups]

    def of(self, number: int, logits: Sequence[Tensor]) -> Float[Tensor, ""]:
        """Mean loss of one group; differentiable in the logits of the pattern and of the mass."""
        group = self.groups[number]
        with self.model.intervene(trainable(self.intervention, *logits), execution="reference"):
            answers = self._read(group)
        if self.target == "gold":
            return choice_loss(answers[1], torch.tensor(group.gold(), device=answers[1].device))
        return matching_loss(answers, self.unedited[number])

    @torch.no_grad()
    def total(self, logits: Sequence[Tensor]) -> float:
        """Mean loss of all samples."""
        losses, sizes = [], []
        for number, group in enumerate(self.groups):
            losses.append(self.of(number, logits).item())
            sizes.append(len(group.candidates()))
            self.advance()
        return sum(loss * size for loss, size in zip(losses, sizes, strict=True)) / sum(sizes)

    def _answers(self, group: Group) -> Answers:
        answers = self._read(group)
        self.advance()
        return answers

    def _read(self, group: Group) -> Answers:
        candidates = group.candidates()
        if self.target == "next_token":
            candidates = [[] for _ in candidates]
        return self.model.answers(self.model.encode(group.prompts()), candidates)


def matching_loss(edited: Answers, unedited: Answers) -> Float[Tensor, ""]:
    """KL(unedited | edited) of the next token plus that of the candidates, in nats per sample."""
    terms = [
        kl_div(_chosen(new), _chosen(old).to(new.device), reduction="batchmean", log_target=True)
        for new, old in zip(edited, unedited, strict=True)
        if new.shape[1] > 0
    ]
    return torch.stack(terms).sum()


def choice_loss(
    candidates: Float[Tensor, "sample candidate"], gold: Int[Tensor, " sample"]
) -> Float[Tensor, ""]:
    """Cross-entropy of the right candidate among all, in nats per sample."""
    return cross_entropy(candidates.nan_to_num(neginf=ABSENT), gold)


def _chosen(log_probabilities: Float[Tensor, "sample choice"]) -> Float[Tensor, "sample choice"]:
    """Log-probabilities of a choice between the columns; what is absent (-inf) gets nothing."""
    return log_probabilities.nan_to_num(neginf=ABSENT).log_softmax(dim=-1)
