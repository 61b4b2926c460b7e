"""The words around an option that state, deny or suppose it, in English. Data, no rules.

Pieces of regular expressions, for text in any letter case; a blank stands for any white space (see
`pattern`). What stands *before* an option ends right where the option begins; what stands *after*
it begins right where it ends. `other_languages` has the same for other languages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable


def pattern(pieces: str | Iterable[str], form: str = "{}") -> re.Pattern[str]:
    """One of the pieces, inside a form; a blank becomes `\\s+`."""
    listed = [pieces] if isinstance(pieces, str) else list(pieces)
    either = "(?:" + "|".join(f"(?:{piece})" for piece in listed) + ")"
    return re.compile(form.replace("{}", either.replace(" ", r"\s+")), re.IGNORECASE)


# Words between a statement and its option: "the answer is most likely the option (B".
_IS = (
    r"(?:is|are|was|be|would be|should be|must be|has to be|will be|can only be|seems to be"
    r"|appears to be|:|=>|->|→|=|-|–|—)"
)
_SURELY = r"(?:probably|likely|clearly|definitely|certainly|obviously|therefore|thus|indeed|then)"
_OPTION = (
    r"(?:the |an? )?(?:(?:correct |right )?(?:option|choice|letter|answer|alternative)\b)?"
)  # fmt: skip
_TAIL = rf"(?:(?:most )?{_SURELY}\s*,? )?{_OPTION}\s*(?:is\b)?\s*[:\-–—]?\s*[\"'(\[{{]*\s*"
_NOUN = (
    r"(?:answers?|options?|choices?|solution|response|selection|guess|pick|verdict|conclusion"
    r"|statement|decision|alternative|letter|correct|(?:right|best|closest|true) (?:one|match|fit"
    r"|candidate|description|representation|explanation|interpretation|view))"
)
_CHOOSE = (
    r"(?:choos(?:e|ing)|chose|pick(?:ing)?|select(?:ing)?|prefer|opt for|go with|going with"
    r"|settle (?:on|for)|answer|guess|conclude|vote for|meant?"
    r"|(?:would|will|'d|'ll|now) say|change (?:it|my answer) to"
    r"|lean(?:ing)? towards?|left with)"
)

# Before an option: it is the answer, whatever follows.
STATING = (
    rf"\b{_NOUN}\b[\"']?[^.;:!?\n]{{0,60}}?\s*{_IS}\s*{_TAIL}",
    r"(?:^|\n)\W*(?:final |correct )?(?:answer|ans\.?)\s*:?\s*[\"'(]?\s*",
    r"\b(?:i|we|i'd|i'll|i'm|we'd|let's|let (?:me|us))\b[^.;:!?\n]{0,25}?"
    rf"\b{_CHOOSE} (?:it\s*(?:is|'s) )?{_TAIL}",
    rf"\bi(?:'d|'ll| now) say (?:it\s*(?:is|'s) )?{_TAIL}",
    rf"\bmost (?:likely|probable|plausible) {_IS}\s*{_TAIL}",
    r"\b(?:so|thus|therefore|hence|in total|altogether)\s*,?\s*there (?:is|are) ",
    r"[✅✔☑]\s*",
)

# Before an option that also ends there ("so B."): without that end the words say something else.
# "It is red" says what is asked for, "behind it is red" does not.
_PLACES = ("behind", "of", "to", "under", "on", "in", "near", "beside", "above", "below", "with")
_FREE = "".join(rf"(?<!\b{place}\s)" for place in _PLACES)
CONCLUDING = (
    rf"(?:{_FREE}\b(?:it|this|that)\s*(?:is|'s|must be|has to be|should be|would be|can only be)"
    rf"|\bwhich (?:is|must be))\s*{_TAIL}",
    rf"(?<!anything\s)\bbut (?:rather )?{_OPTION}\s*",
    r"\b(?:so(?! (?:is|are)\b)|thus|therefore|hence|consequently|accordingly|finally|in conclusion)"
    rf"\s*[,:]?\s*(?:it\s*(?:is|'s) )?{_TAIL}",
    r"\b(?:so|thus|therefore|hence)\s*,?\s*(?:the|this|that|its|their) [^.;:!?,\n]{1,40}? "
    rf"(?:is|are) {_TAIL}",
    r"(?:^|\n)(?:choose|select|pick) ",
    r"\b(?:probably|most likely|definitely|certainly|undoubtedly|clearly|surely|obviously|actually"
    rf"|namely|i\.e\.)\s*[,:]?\s*{_OPTION}\s*",
    r"\b(?:makes it|(?:corresponds|points|amounts|leads(?: us| me)?) to|matches"
    r"|(?:indicated|labell?ed|marked|represented|denoted) (?:by|as|with)) "
    r"(?:(?:the )?(?:option|choice|letter) )?\s*",
    r"(?:^|[\s.,:;!?])(?:yes|no|wait|sorry)\s*[,.:]+\s*",
)

# Before an option after which the line ends: "The car is blue, option B".
CLOSING = (
    r"(?:^|[.:;!?,=\n–—]|\s-|→|[-=]>|(?:^|\n)\(?\d\))[^\w\n(\[{]*"
    r"(?:(?:option|choice|letter|alternativa|opción|opção)\s*:?\s*)?[\"'(\[{]*"
)

# After a letter: it is the answer.
CONFIRMING = (
    r"(?:is|are|seems|looks|appears|must be|should be|has to be|remains) (?:to be )?"
    r"(?:(?:indeed|clearly|obviously|also|therefore|most) |most likely )?(?:the |a |my )?(?:only )?"
    r"(?:one\b(?! (?:that|which) \w+(?:n't| (?:not|wrong)))|correct|right|true|best|better|answer"
    r"|most \w+|fitting|likely|accurate|closest|closer|what (?:i|we) see)\b",
    r"is the only (?!wrong|incorrect|false|bad)\w+",
    r"(?:is|seems|looks|appears) more (?:accurate|plausible|likely|fitting|suitable|appropriate)\b",
    r"(?:fits|matches|applies|holds|makes (?:the most )?sense)\b",
    r"(?:remains|does|wins|it is)(?=\s*(?:[.!;,]|$))",
    r"(?:would be|is) my (?!first|initial|second)",
    r"[✅✔☑]",
    r"[:\-–—(]\s*(?:correct|right)\b",
    r"(?:,|-)?\s*(?:I (?:believe|think|guess|would say))\b",
)

# Somewhere between the start of the clause and an option: it is denied.
DENYING = (
    r"❌|✗|✘|\bno(?:ne of| way)\b|n't\b",
    r"\b(?:not|never|neither|nor|cannot|doubt|disagree|unlikely|hardly|avoid|wrong|incorrect|whether|unsure"
    r"|excludes?|eliminated?|rejects?|(?:rule|ruled|ruling) out|anything but)\b",
    r"\b(?:(?:next|second)(?: |-)best"
    r"|least (?:likely|probable|plausible|similar|fitting|suitable))\b",
    r"\bno (?=\S+$)",
)
NOT_DENYING = r"\b(?:no|without (?:a |any )?)\s*doubt\b|\bnot only\b|\bno question\b"

# Right before an option: it is what another one is compared with.
COMPARED = (
    r"\b(?:than|over|unlike|instead of|rather than|compared (?:to|with)|in contrast to"
    r"|contrary to|except(?: for)?|without|not|no|{others})|而不是|не"
)
COMPARED_TAIL = rf"\s*(?:the |an? )?(?:{_OPTION}|选项)\s*[(]?\s*"
PREFERRED_TO = r"\bprefer(?:able|red)?\b[^.;:!?\n]{0,30}\bto (?:the )?(?:option|choice)?\s*"
# Right before an option: what is meant instead was said before.
CONTRASTED = r"(?:,\s*(?:and |but )?not|rather than|instead of|unlike) (?:the |an? )?"

# Right after an option: it is denied.
DENIED_AFTER = (
    r"(?:is|are|was|were|does|do|did|can|could|would|will|has|have)(?:n't\b| (?:\w+ )?not\b)",
    r"(?:cannot|can't|won't)\b",
    r"(?:is|are|was|were|seems?|looks?|must be|would be) (?:(?:all|both|also|clearly|obviously) )?"
    r"(?:wrong|incorrect|false|out|excluded|eliminated|ruled out|unlikely|impossible|inaccurate)\b",
    r"can be (?:ruled out|excluded|eliminated)",
    r"fails?\b",
    r"[:\-–—(]\s*(?:incorrect|wrong|no|false|not(?! (?:the |option )?(?-i:[A-Z])))\b",
    r"\([^()\n]{0,20}\b(?:incorrect|wrong)\)",
)

# A sentence with one of these supposes.
SUPPOSING = (
    r"\b(?:if|unless|assuming|suppose|supposing|had (?:\w+ ){1,3}(?:been|had|\w+ed)"
    r"|had (?:it|there|the))\b"
)
NOT_SUPPOSING = r"\b(?:as|even) if\b|\bif i (?:have|had|must)\b(?: to)?|\bif any(?:thing)?\b"
# A clause with one of these tells what others may say, what may be, or only concedes.
CONCEDING = (
    r"\b(?:although|though|while|whereas|despite|(?:might|may|could) (?:also )?be|someone"
    r"|some (?:people |would |might |may )+|one (?:could|might|may|can)"
    r"|(?:people|others|many) (?:may|might|would|could)"
    r"|(?:text|caption|hint|passage|context|description|prompt|user) (?:\w+ )?"
    r"(?:says?|said|claim(?:s|ed)?|state[sd]?|suggest(?:s|ed)?|assert(?:s|ed)?|tells?|told|implie[sd])"
    r"|according to the (?:text|caption|hint|passage|context|description|prompt))\b[^,.;:\n]*"
)
# A clause that begins with one of these leaves open what it names.
LEAVING_OPEN = r"\b(?:if|unless|whether|(?:might|may|could) (?:also )?be)\b[^,.;:\n]*"

# What follows goes beyond what stood before.
TURNING = (
    r"\b(?:wait|actually|however|but|correction|corrected|hmm+|sorry|mistaken?|so|thus|therefore"
    r"|hence|final|finally|in conclusion|in fact|rather|change|meant|no|yet|although|though|overall"
    r"|revised?|second thoughts?|now)\b"
)
# What follows takes back what stood before; at once, or later.
TAKING_BACK = (
    r"\bwait\b\s*[,.!?:;…—–-]",
    r"(?:^|[.!?;:,…—–-]|\n)\s*actually\b",
    r"\b(?:correction|on second thoughts?|hmm+|sorry|i (?:meant|change)|scratch that)\b",
    r"\b(?:i|my) (?:made a |was )?mistaken?\b",
    r"\A[\s.…!,]*(?:(?:no|but|hmm)\b[,.]?\s*)?(?:that|this|it)(?:'s| is| was)"
    r" (?:wrong|incorrect|not (?:right|correct))",
    r"\A\s*[.…!]+\s*no\b[,.]? \w",
)
YET = r"\b(?:but|however|still|nevertheless)\b"
# Before another option: it is meant as well; after a "but": that one is meant.
ALSO = r"\b(?:and|or) (?:so is |also )?(?:option |choice )?[(]?"
BUT_IS = r"\b(?:is|was|be|option|choice)\s*[(]?"
# Before a letter that is no option's; before one that is only spoken of.
REFERRING = r"\b(?:see|figure|fig\.?|table|equation|eq\.?|section|page)\s*\(?"
DESCRIBING = r"\b(?:option|choice)\s*[\"'(]*"

# The answer says that it does not know, or does not see.
_KNOWING = (
    r"(?:(?:say|tell|determine|answer|see|view|access|identify|know|choose|decide|confirm|provide"
    r"|give|make out|recogni[sz]e|judge|assess|help|assist"
    r"|be (?:sure|certain|determined|seen|answered))\b"
    r"|\w+ (?:say|tell|determine|answer|see|identify|know|choose)\b)"
)
REFUSING = (
    r"\b(?:cannot|can't|can not|could not|couldn't|unable to|not able to|impossible to"
    rf"|not possible to|hard to|difficult to|no way to) {_KNOWING}",
    r"\b(?:do not|don't) (?:know|have (?:access|enough))\b",
    r"\b(?:not (?:sure|certain)|unsure|unclear|sorry|apologi[sz]e|unable to)\b",
    r"\bnot enough (?:information|details?|context)\b",
    r"\b(?:no (?:idea|answer|access|image|picture|photo)|without the (?:image|picture))\b",
)

# An article stands before a noun or adjective, never before these.
ARTICLE_FOLLOWERS = (
    "is|was|are|and|or|because|since|as|for|with|which|but|due|if|in|on|at|of|to|by|from|shows"
    "|seems|looks|appears|would|should|must|can|cannot|does|has|correctly|best|fits|matches|over"
    "|rather|instead|not|while|whereas|than|though|although|so|que|oder|ist|ou|est|o|es|y|или|या|और"
)
# Words of options ("left", "right") that say something else here.
OTHER_SENSE = (
    r"\ball right\b",
    r"\b(?:that|this)(?:'s| is) right\b",
    r"\bright (?:answers?|choices?|options?|one)\b",
    r"\b(?:nothing|is|are|was|were|be) left (?:to|over)\b",
    r"\b(?:option|choice) \(?\d(?!\w)",
)
# Between two options that are named together.
AND = r"and|or|and/or|nor|&|/|\+|,|→|[-=]>"
JOINING = (
    r"\s*[\"']?\s*(?:,\s*)?\(?(?:{and})\s*(?:(?:either|maybe|perhaps|even|also|possibly) )?"
    r"(?:the |an? )?(?:(?:option|choice|answer)s?\s*)?[\"']?\s*"
)
