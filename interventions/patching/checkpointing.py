"""Gradient checkpointing: a layer that runs again in the backward pass is edited as before."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from interventions.errors import InterventionError
from interventions.patching.upstream import checkpointed, checkpoints_reentrantly, wrap_checkpoints

if TYPE_CHECKING:
    from interventions.patching.session import Session


def follow_checkpoints(session: Session) -> Callable[[], None]:
    """Let layers that run again know which forward they belong to; returns what undoes it.

    Raises `InterventionError` where gradients could not be right.
    """
    intervention = session.intervention
    if intervention.pattern.needs_confidence and checkpoints_reentrantly(session.model):
        raise InterventionError(
            f"The intervention {intervention.name!r} depends on a first pass, whose gradient "
            "reentrant checkpointing would take more than once; enable gradient checkpointing with "
            '{"use_reentrant": False}.'
        )
    return wrap_checkpoints(session.model, partial(Repeated, session))


def check_followed(session: Session) -> None:
    """Raises `InterventionError` where layers run again that nobody told about their forward."""
    if not (session.model.training and torch.is_grad_enabled()):
        return
    runs = (part._gradient_checkpointing_func for part in checkpointed(session.model))
    if not all(isinstance(run, Repeated) for run in runs):
        raise InterventionError(
            "Expected gradient checkpointing to be switched on before the `with intervene(...)` "
            "block, but it was switched on, or set otherwise, inside it; do so before the block."
        )


class Repeated:
    """A checkpoint function whose second run of a layer finds what the first one found."""

    def __init__(self, session: Session, checkpoint: Callable[..., Any]) -> None:
        self._session, self._checkpoint = session, checkpoint

    def __call__(self, function: Callable[..., Any], *inputs: Any, **settings: Any) -> Any:
        session = self._session
        forward, plain = session.forward, session.plain_pass

        def again(*inputs: Any) -> Any:
            if not session.open:
                raise InterventionError(
                    "Expected the backward pass inside the `with intervene(...)` block, since "
                    "gradient checkpointing computes the edited layers again; call backward before "
                    "leaving it."
                )
            now = session.forward, session.previewing
            session.forward, session.previewing = forward, plain
            try:
                return function(*inputs)
            finally:
                session.forward, session.previewing = now

        return self._checkpoint(again, *inputs, **settings)
