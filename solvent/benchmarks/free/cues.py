"""The words by which answers state, conclude, take back, explain and refuse, as patterns."""

from __future__ import annotations

import re

_MARKERS = (
    r"\b(?:answer|result|solution|antwort|ergebnis|lösung|réponse|résultat|respuesta|resultado"
    r"|risposta|risultato|resposta|ответ)\b|答案|答え|정답|الجواب|الإجابة|उत्तर"
)
STATEMENT = re.compile(rf"(?i)(?P<box>\\boxed\s*\{{|(?<![\w\\^_}}√=])\{{)|{_MARKERS}\s*")
FILLED = re.compile(
    r"(?i)(?:[\s:=≈~\-–—>\"'(\[*$,|]|to\b[^.:\n]{0,40}?(?=\bis\b)"
    r"|\b(?:is|are|be|was|would|should|will|must|could|equals?|equal|to|therefore|thus|so|hence|then"
    r"|probably|likely|about|approximately|around|roughly|exactly|just|only|the|number|an?|total"
    r"|of|simply|clearly|ist|est|es|è|é|это)\b|은|는|是|は|为|هو|है)*"
)
FINAL = re.compile(
    r"(?i)\b(?:final|so|therefore|thus|hence|correct|correction|wait|actually|again|sorry"
    r"|conclusion|second thought|no,)"
)
CORRECTED = re.compile(
    r"(?i)\b(?:wait|actually|sorry|correction|corrected|no,|no\.|on second|meant?|let me|re-?check"
    r"|re-?count|mistake|hmm|oops|but it|rather)\b|\bno[,.]"
)
_NO = r"(?:can(?:no|')t|cannot|can not|could not|couldn't|unable|not able|impossible|not possible)"
_NOT = r"(?:does|do|did|is|are|was)(?:n't| not)"
_GIVEN = (
    r"(?:say|state|specif\w+|mention\w*|provide\w*|given?|contain|include|show|indicate|tell"
    r"|clear|known|legible|visible|readable|listed|possible|described|enough)"
)
REFUSED = re.compile(
    rf"(?i)\b{_NO}\b|\b{_NOT}\s(?:\w+\s){{0,2}}{_GIVEN}\b|\bnot\s(?:\w+\s)?{_GIVEN}\b"
    r"|\b(?:do not|don't)\s(?:know|see|have)|\bnot (?:sure|certain)|\b(?:hard|difficult) to\b"
    r"|\b(?:insufficient|unknown|unclear|sorry)\b|\bno (?:information|data|image|picture|way)\b"
    r"|\bno\s(?:\w+\s){1,3}(?:is|are|was|were)\s(?:\w+\s)?(?:listed|given|provided|specified|mentioned)"
    r"|\b(?:we|i|you) (?:would )?need\b(?! to)|\bplease\b"
    r"|\bwithout (?:the|an?) (?:image|picture|chart)\b"
    r"|无法|不能|不知道|わかりません|알 수 없|\bnicht (?:\w+ )?(?:sagen|bestimmen|erkennen)"
    r"|\bimpossible\b|\bne p(?:eut|uis)\b|\bno (?:se )?pued[eo]\b"
)
HOWEVER = re.compile(r"(?i)\b(?:but|however|though|although|still|maybe|perhaps|probably)\b")
NO_SUCH = re.compile(
    r"(?i)(?:(?:there|i see|i can see)\s(?:(?:is|are|were)\s)?)?\s*no\s((?:\w+\s?){1,3})"
)
COMES_TO = re.compile(
    r"(?i)[=≈→⇒]|\b(?:which (?:is|gives|makes|leaves|equals)|giving|making|leaving|leaves|gives"
    r"|makes?|results? in|resulting in|we (?:get|have|obtain)|that is|that's|i\.e\.|equals)(?=\W)"
)
THEREFORE = re.compile(
    r"(?i)\b(?:so(?!\s(?:many|much|that|far|called))|therefore|thus|hence|consequently"
    r"|in conclusion|(?:which|this|that) means)\b"
)
THING = re.compile(r"\s*((?:(?:on|in|at|to|from|with|under|over)\s[^\W\d]+\s)?[^\W\d]*)")
LABEL = re.compile(r"(?:\A|\n)[^\n:\d]+:\s*\Z")
SAME = re.compile(
    r"(?i)[\s(=≈,:;\[]*(?:that is|i\.e\.|and again|again|namely|so|in words)?[\s(=≈,:]*"
)
RESULT = re.compile(r"(?i)\b(?:therefore|thus|hence|in conclusion)\b")
SOON = re.compile(r"[\s:$€£(*]*(?:[^\W\d]+[\s:$€£(*]+){0,3}")
DEPENDS = re.compile(r"(?i)\b(?:otherwise|if not|unless|or else|depend\w*)\b")
ASSIGNED = re.compile(r"(?<!\w)(?<!\d\s)([^\W\d_]+)\s*=(?=\s*[-−$]?[\d.])")
UNSOLVED = re.compile(  # "x + 115 =", "3n =", "x^2 ="
    r"(?:(?<![\w.])(?<!\d\s)[a-cn-z]\s*[-+−]\s*\d+|\d\s*[-+−]\s*[a-cn-z]|(?<![\w.])\d+[a-cn-z]"
    r"|(?<!\w)[A-Za-z]{1,2}\s?\^\s?\d)\s*=\Z"
)
REPEATED_NAME = re.compile(r"([^\W\d_]+)\s*=[^=]*\b(?:or|and)\b\s*\1\s*=")
_ANYWHERE = (
    "what which how many much when where who is are was were do does did has have had can the a an"
    " of in on at to for from by and or be that this there you see"
)
EVERYWHERE = frozenset(_ANYWHERE.split())  # words that a question shares with any sentence
COPULA = re.compile(r"(?i)\b(?:is|are|was|were)\b")
COMPUTED = re.compile(r"(?i)\b(?:sum|difference|average|mean|median|product|ratio)\b")
COMPUTES = re.compile(
    r"(?i)\b(?:sums?|difference|differs?|average|mean|median|product|ratio|by|total|together|times)\b"
)
SPEAKS_OF_IT = re.compile(
    r"(?i)\b(?:i|we|he|she|it|they|them|there|this|total|difference|number|count|value)\b"
)
PROCEDURE = re.compile(
    r"(?i)\W*(?:(?:first|then|next|now)\W+)?(?:to (?:find|calculate|get|determine|compute|answer)"
    r"|let's|let us|add|multiply|subtract|divide|find|calculate|compute|count the|use|consider|take"
    r"|look at|sum)\b"
)
SUMMED = re.compile(r"\d\s+([^\W\d]+)\s+\+")
REASON = re.compile(
    r"(?i)\W(?:because|since|given that|due to|as (?:there|the|it|they|each|one|all))\b"
)
BRACKETS = re.compile(r"\([^()]*\)")
CHANGES = re.compile(
    r"(?i)\b(?:left|remain\w*|more|fewer|less|difference|total|altogether|together|in all)\b"
)
UNIT = re.compile(r"\s?[^\W\d]*\W*")
