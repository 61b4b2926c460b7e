"""An intervention on attention from which some keys were cut before."""

from __future__ import annotations

from dataclasses import dataclass, fields
from dataclasses import replace as changed

from interventions.methods.intervention import Intervention
from interventions.methods.masses import Drop
from interventions.methods.patterns import Learned


@dataclass(frozen=True, kw_only=True)
class Behind(Intervention):
    """An intervention behind a knockout: rows do not see the keys that it cuts, as if a mask hid
    them, and what they see of the others is edited.
    """

    cut: Intervention  # a knockout of all heads


def behind(intervention: Intervention, cut: Intervention) -> Intervention:
    """Both: the cut, and then the intervention on what is left.

    Raises `ValueError` where the cut is no knockout of all heads, see `is_cut`.
    """
    if not is_cut(cut):
        raise ValueError(
            f"Only a knockout of all heads can go before another intervention, and {cut.name!r} is "
            'none; write load("knockout", layers="all").'
        )
    if intervention.is_identity:
        return cut
    own = {each.name: getattr(intervention, each.name) for each in fields(Intervention)}
    return Behind(**own, cut=cut)


def is_cut(intervention: Intervention) -> bool:
    """Whether all that it does is to hide keys from rows, as a mask does."""
    plain = changed(intervention, mix=1.0, value_gain=1.0, head_gain=1.0) == intervention
    whole = intervention.heads == "all" and intervention.probe is None
    learned = isinstance(intervention.pattern, Learned) and intervention.calibration is None
    return plain and whole and learned and isinstance(intervention.mass, Drop)
