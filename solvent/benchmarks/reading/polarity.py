"""Yes or no: an exclamation says which, and so does "there is no ..."."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from solvent.benchmarks.reading.cleaning import normalised, without_markup, without_reasoning
from solvent.benchmarks.reading.outcome import AMBIGUOUS, NOTHING, Reading, one_of
from solvent.benchmarks.reading.phrases import REFUSING, pattern
from solvent.benchmarks.reading.standing import SUPPOSED, is_conceded, sentence_at

# Words that are an answer where an answer begins; in English others may follow without a comma.
YES = "yes|yeah|yep|yup|ja|jawohl|oui|sí|sì|sim|да|نعم|أجل|हाँ|हां|是的|对|有的|はい|ええ|네|예"
NO = "no|nope|nah|nein|non|não|нет|لا|नहीं|不是|没有|不|否|いいえ|아니요|아니오"
# After "no" these make no denial of what was asked.
IDIOMS = (
    r"doubts?|question|problem|wonder|matter|need|worries|more|less|fewer|reason|way|idea|answer"
    r"|image|images|picture|pictures|photo|photograph|information|context|smoking|parking|entry|exit|clue|details?|data"
    r"|denying|telling|knowing|mistaking|one\s+(?:would|could|can)"
    # These are a yes as often as a no: "no difference" may say that two lines are equal.
    r"|differences?|changes?|variations?|distortions?|errors?|mistakes?|contradictions?"
    r"|discrepanc(?:y|ies)|(?:clear|single|definite)\s+(?:answer|view|way)"
    # Spanish, that it cannot be told.
    r"|(?:lo\s+)?sé|(?:se\s+)?pued[eo]|estoy|es\s+posible|(?:hay|tengo)\s+(?:suficiente|información|imagen)"
)


@dataclass(frozen=True)
class Claim:
    """One place that says yes or no: characters [start, end)."""

    start: int
    end: int
    yes: bool


_END = r"(?=[\"')\]]*\s*(?:$|[.,;:!\n\u2026(){}\]。、/]|[-–—]\s|<|for\b))"
_LED_BY = (
    r"(?:[.,:;!?\u2026\n–—}]\s*|\s-\s*|\b(?:is|be|so|but|thus|therefore|hence|definitely|probably|a"
    r"|certainly|then|answer|(?:i|we)(?:'d|\s+would)?\s+(?:say|think|believe|guess|answer))\s+)[\"'({]*"
)
LEAD = re.compile(
    rf"[\W_]*(?:(?:oh|well|hmm|ah)\W+)?(?:(?P<yes>{YES})|(?P<no>{NO})){_END}", re.IGNORECASE
)
LEAD_ENGLISH = re.compile(
    r"[\W_]*(?:(?P<yes>yes)(?!\s*(?:\?|no\b))|(?P<no>no)(?=\s+(?:it|there|they|this|that|he|she|i|we|not)\b))(?![\w\-])",
    re.IGNORECASE,
)
EXCLAIMED = re.compile(rf"{_LED_BY}(?:(?P<yes>yes)|(?P<no>no)(?!\.\s*\d)){_END}", re.IGNORECASE)
NEGATED = re.compile(
    r"(?:\bnot|n't)\s+(?:(?:think|believe)\s+(?:that\s+)?(?:the\s+answer|it)\s+(?:is|would\s+be)\s+)?"
    r"(?:an?\s+)?[\"']?\Z",
    re.IGNORECASE,
)
EXISTENCE = re.compile(
    r"(?:\A[\W_]*|\b(?:there(?:'s|\s+is|\s+are|\s+was|\s+were)|(?:appears?|seems?)\s+to\s+be|has|have|had|sees?|shows?|contains?"
    r"|depicts?|features?|wears?|includes?)\s+|[.;!\n]\s*)"
    rf"no\s+(?!(?:{IDIOMS})\b)[^\W\d]",
    re.IGNORECASE,
)
YES_TO_NOTHING = re.compile(
    rf"[\W_]*yes\W+there(?:'s|\s+is|\s+are)\s+no\s+(?!(?:{IDIOMS})\b)", re.IGNORECASE
)
DENIED_WORD = re.compile(r"(?:\bnot|n't)\s+(?:an?\s+)?[\"']?(?:yes|no)\b", re.IGNORECASE)
WORD_YES = re.compile(r"\byes\b", re.IGNORECASE)
BOTH = re.compile(r"\b(?:yes\s*(?:/|or|and)\s*no|no\s*(?:/|or|and)\s*yes)\b", re.IGNORECASE)
REFUSED = pattern(REFUSING)
CONDITIONAL = re.compile(r"\b(?:if|unless)\b", re.IGNORECASE)
BLIND = re.compile(
    r"\b(?:can't|cannot|unable\s+to|not\s+able\s+to)\s+(?:see|view|access|open|process|recogni[sz]e"
    r"|tell|determine|answer)\b(?:\s+(?:the|any|an|your|this|whether|if)\b)?"
    r"(?:\s+(?:image|picture|photo)|\s*$|\s*[.,]|\s+whether|\s+if)",
    re.IGNORECASE,
)


def yes_or_no(raw: str, options: Sequence[str]) -> Reading:
    """The index of "yes" or "no" among the options, which are these two in any case."""
    names = [option.strip().casefold() for option in options]
    text = without_markup(without_reasoning(raw))
    if normalised(text) in ("y", "n"):
        return Reading(names.index("yes" if normalised(text) == "y" else "no"), "ok")
    if BOTH.search(text):
        return AMBIGUOUS
    claims = _claims(text)
    if claims:
        if YES_TO_NOTHING.match(text) or (BLIND.search(text, claims[-1].end)):
            return AMBIGUOUS
        return one_of(names.index("yes" if claim.yes else "no") for claim in claims)
    if DENIED_WORD.search(text):
        return AMBIGUOUS
    if not EXISTENCE.search(text) or BLIND.search(text) or REFUSED.search(text):
        return NOTHING
    return AMBIGUOUS if WORD_YES.search(text) else Reading(names.index("no"), "ok")


def _claims(text: str) -> list[Claim]:
    """Exclamations of yes or no, in their order."""
    lead = LEAD.match(text) or LEAD_ENGLISH.match(text)
    if lead and re.match(r"\.\s*\d", text[lead.end() :]):  # "No. 7"
        lead = None
    found = [lead] if lead else []
    found += [
        match for match in EXCLAIMED.finditer(text) if not lead or match.start() >= lead.end()
    ]
    return [
        Claim(match.start(), match.end(), match["yes"] is not None)
        for match in found
        if not NEGATED.search(text[: match.start("yes" if match["yes"] else "no")])
        and not (CONDITIONAL if match is lead else SUPPOSED).search(
            sentence_at(text, match.start(), match.end())
        )
        and not is_conceded(text, match.start("yes" if match["yes"] else "no"))
    ]
