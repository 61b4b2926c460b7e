"""The words around an option that state, deny or suppose it, by language. Data, no rules.

Each table holds pieces of regular expressions, for text in any letter case. What stands *before* an
option ends right where the option begins; what stands *after* it begins right where it ends.
"""

from __future__ import annotations

import re

# An article stands before a noun or adjective, never before these.
ARTICLE_FOLLOWERS = (
    "is|was|are|and|or|because|since|as|for|with|which|but|due|if|in|on|at|of|to|by|from|shows"
    "|seems|looks|appears|would|should|must|can|cannot|does|has|correctly|best|fits|matches|over"
    "|rather|instead|not|while|whereas|than|though|although|so|que|oder|ist|ou|est|o|es|y|или|या|और"
)

# Words of options ("left", "right") that say something else here.
OTHER_SENSE = (
    r"\ball\s+right\b|\b(?:that|this)(?:'s|\s+is)\s+right\b|\bright\s+(?:answers?|choices?|options?|one)\b"
    r"|\b(?:nothing|is|are|was|were|be)\s+left\s+(?:to|over)\b"
)

_IS = (
    r"(?:is|are|was|be|would\s+be|should\s+be|must\s+be|has\s+to\s+be|will\s+be|can\s+only\s+be"
    r"|seems\s+to\s+be|appears\s+to\s+be|:|=>|->|→|=|-|–|—)"
)
_SURELY = r"(?:probably|likely|clearly|definitely|certainly|obviously|therefore|thus|indeed|then)"
_OPTION = r"(?:the\s+|an?\s+)?(?:(?:correct\s+|right\s+)?(?:option|choice|letter|answer|alternative)\b)?"
_TAIL = rf"(?:(?:most\s+)?{_SURELY}\s*,?\s+)?{_OPTION}\s*(?:is\b)?\s*[:\-–—]?\s*[\"'(\[{{]*\s*"
_NOUN = (
    r"(?:answers?|options?|choices?|solution|response|selection|guess|pick|verdict|conclusion"
    r"|statement|decision|alternative|letter|correct|(?:right|best|closest|true)\s+(?:one|match|fit|candidate"
    r"|description|representation|explanation|interpretation|view))"
)

# Before an option: it is the answer, whatever follows.
STATING = {
    "en": (
        rf"\b{_NOUN}\b[\"']?[^.;:!?\n]{{0,60}}?\s*{_IS}\s*{_TAIL}",
        r"(?:^|\n)\W*(?:final\s+|correct\s+)?(?:answer|ans\.?)\s*:?\s*[\"'(]?\s*",
        r"\b(?:i|we|i'd|i'll|we'd|let's|let\s+(?:me|us))\b[^.;:!?\n]{0,25}?\b(?:choose|chose|pick|select"
        r"|prefer|opt\s+for|go\s+with|going\s+with|settle\s+(?:on|for)|answer|guess|conclude|vote\s+for"
        rf"|meant?|(?:would|will|'d|'ll|now)\s+say|change\s+(?:it|my\s+answer)\s+to|lean(?:ing)?\s+towards?|left\s+with)\s+(?:it\s*(?:is|'s)\s+)?{_TAIL}",
        r"\b(?:so|thus|therefore|hence|in\s+total|altogether)\s*,?\s*there\s+(?:is|are)\s+",
        r"[✅✔☑]\s*",
        rf"\bmost\s+(?:likely|probable|plausible)\s+{_IS}\s*{_TAIL}",
        rf"\bi(?:'d|'ll|\s+now)\s+say\s+(?:it\s*(?:is|'s)\s+)?{_TAIL}",
    ),
    "zh": (
        r"(?:答案|选项)\s*(?:应该|应当|应)?(?:是|为|:)+\s*(?:选项)?\s*[(:]?\s*",
        r"答案[】\])]?\s*[(:]?\s*",
        r"选择?(?!项)\s*(?:的是|的答案是)?\s*:?\s*(?:选项)?\(?\s*",
        r"(?:而是|应为|应该是)\s*",
    ),
    "ja": (
        r"(?:答え?|正解|回答|解答)(?:は|が|:)\s*、?\s*(?:選択肢)?\s*\(?\s*",
        r"ではなく、?\s*",
    ),
    "ko": (
        r"(?:정답|답|답변)(?:은|는|이)?\s*:?\s*(?:옵션|선택지)?\s*\(?\s*",
        r"선택(?:은|:)\s*\(?\s*",
        r"아니라\s*",
    ),
    "de": (
        r"\b(?:antwort|lösung|option)\b[^.;:!?\n]{0,30}?(?:ist|lautet|wäre|:)\s*(?:option|antwort)?\s*\(?",
        r"\brichtig\s+(?:ist|wäre)\s*(?:option|antwort)?\s*",
        r"\bich\s+(?:wähle|nehme|denke)\s*(?:,?\s*es\s+ist\s+)?(?:option|antwort)?\s*",
        r"\b(?:richtige|korrekte)\s+(?:antwort|lösung|option)\s*",
        r"\bsondern\s*(?:option|antwort)?\s*",
        r"(?:^|\n)antwort\s*",
    ),
    "fr": (
        r"\b(?:réponse|option|solution|choix)\b[^.;:!?\n]{0,30}?(?:est|:|serait)\s*:?\s*"
        r"(?:la\s+réponse\s+|l'option\s+|la\s+)?\(?",
        r"\bje\s+(?:choisis|sélectionne|dirais)\s+(?:l'option\s+|la\s+réponse\s+|la\s+)?\(?",
        r"(?:^|\n)réponse\s*",
        r"\bc'est\s+la\s+(?:réponse\s+|bonne\s+réponse\s+)?",
    ),
    "es": (
        r"\b(?:respuesta|opción|solución|alternativa)\b[^.;:!?\n]{0,30}?(?:es|:|sería)\s*:?\s*"
        r"(?:la\s+opción\s+|la\s+)?\(?",
        r"\bsino\s+(?:la\s+)?",
        r"\b(?:elijo|escojo|selecciono)\s+(?:la\s+)?(?:opción\s+)?\(?",
    ),
    "it": (
        r"\b(?:risposta|opzione|soluzione)\b[^.;:!?\n]{0,30}?(?:è|:)\s*:?\s*(?:la\s+|l'opzione\s+)?\(?",
        r"\bscelgo\s+(?:la\s+|l'opzione\s+)?\(?",
    ),
    "pt": (
        r"\b(?:resposta|opção|alternativa|solução)\b[^.;:!?\n]{0,30}?(?:é|:)\s*:?\s*(?:a\s+opção\s+|a\s+)?\(?",
        r"\b(?:escolho|seleciono)\s+(?:a\s+)?(?:opção\s+)?\(?",
    ),
    "ru": (
        r"\b(?:ответ|вариант)\b\s*(?:ответа)?\s*(?::|—|–|-|это)?\s*(?:вариант)?\s*\(?",
        r"\bвыбираю\s*(?:вариант|ответ)?\s*",
    ),
    "ar": (
        r"(?:الإجابة|الاجابة|الجواب|الخيار|الاختيار)\s*(?:الصحيحة|الصحيح)?\s*(?:هي|هو)?\s*:?\s*(?:الخيار)?\s*\(?",
        r"(?:أختار|اختار)\s*(?:الخيار)?\s*",
    ),
    "hi": (r"(?:उत्तर|जवाब|विकल्प)\s*(?:है)?\s*:?\s*(?:विकल्प)?\s*\(?",),
}

_NOT_BEHIND = "".join(
    rf"(?<!\b{word}\s)"
    for word in ("behind", "of", "to", "under", "on", "in", "near", "beside", "above", "below", "with")
)
# Before an option that also ends there ("so B."): without that end the words say something else.
CONCLUDING = {
    "en": (
        rf"(?:{_NOT_BEHIND}\b(?:it|this|that)\s*(?:is|'s|must\s+be|has\s+to\s+be|should\s+be"
        rf"|would\s+be|can\s+only\s+be)|\bwhich\s+(?:is|must\s+be))\s*{_TAIL}",
        rf"(?<!anything\s)\bbut\s+(?:rather\s+)?{_OPTION}\s*",
        rf"\b(?:so(?!\s+(?:is|are)\b)|thus|therefore|hence|consequently|accordingly|finally|in\s+conclusion)\s*[,:]?\s*"
        rf"(?:it\s*(?:is|'s)\s+)?{_TAIL}",
        r"(?:^|\n)(?:choose|select|pick)\s+",
        rf"\b(?:probably|most\s+likely|definitely|certainly|undoubtedly|clearly|surely|obviously|actually|namely|i\.e\.)\s*[,:]?\s*{_OPTION}\s*",
        rf"\b(?:makes\s+it|corresponds\s+to|points\s+to|leads\s+to|amounts\s+to|matches"
        rf"|(?:indicated|labell?ed|marked|represented|denoted)\s+(?:by|as|with))\s+{_OPTION}\s*",
        r"(?:^|[\s.,:;!?])(?:yes|no|wait|sorry)\s*[,.:]+\s*",
    ),
    "all": (r"(?:\b(?:mais|sino|mas|ma|а)|بل)\s+",),
    "de": (r"\b(?:also|daher|somit|es\s+ist)\s*(?:option|antwort)?\s*",),
    "fr": (r"\b(?:donc|c'est)\s*(?:l'option|la)?\s*", r"(?:^|\n)option\s*"),
    "es": (r",\s*es\s+(?:la\s+)?", r"(?:por\s+lo\s+tanto|así\s+que)\s*,?\s*(?:la\s+)?", r"\bes\s+la\s+", r"(?:^|\n)opción\s*"),
    "pt": (r"(?:portanto|logo)\s*,?\s*(?:a\s+)?", r"(?:^|\n)(?:alternativa|opção)\s*"),
    "zh": (r"(?:所以|因此|故)(?:是|选)?\s*,?\s*", r"选项\s*", r"(?:^|[,。])\s*是\s*", r"(?:的是|认为是?|就是)\s*"),
    "ja": (r"(?:したがって|よって)、?\s*", r"選択肢\s*"),
    "ko": (r"(?:옵션|선택지|선택)\s*",),
}  # fmt: skip

# Before an option after which the line ends.
CLOSING = r"(?:^|[.:;!?,=\n–—]|\s-|→|[-=]>)[^\w\n(\[{]*(?:(?:option|choice|letter|alternativa|opción|opção)\s*:?\s*)?[\"'(\[{]*"

# After a letter: it is the answer.
CONFIRMING = {
    "en": (
        r"(?:is|are|seems|looks|appears|must\s+be|should\s+be|has\s+to\s+be|remains)\s+"
        r"(?:to\s+be\s+)?(?:(?:indeed|clearly|obviously|also|therefore|most)\s+|most\s+likely\s+)?"
        r"(?:the\s+|a\s+|my\s+)?(?:only\s+)?(?:one\b(?!\s+(?:that|which)\s+\w+(?:n't|\s+(?:not|wrong)))|correct|right|true|best|better|answer"
        r"|most\s+\w+|fitting|likely|accurate|closest|closer|what\s+(?:i|we)\s+see)\b",
        r"(?:fits|matches|applies|holds|makes\s+(?:the\s+most\s+)?sense)\b",
        r"(?:remains|does|wins|it\s+is)(?=\s*(?:[.!;,]|$))",
        r"(?:would\s+be|is)\s+my\s+(?!first|initial|second)",
        r"[✅✔☑]",
        r"[:\-–—(]\s*(?:correct|right)\b",
        r"(?:,|-)?\s*(?:I\s+(?:believe|think|guess|would\s+say))\b",
    ),
    "zh": (r"(?:选项)?(?:是|为)?(?:正确|对的|正确答案)", r"选项(?=\s*(?:[。,.]|$))"),
    "ja": (r"(?:が|は)(?:正解|正しい)", r"です", r"を選", r"だと思"),
    "ko": (r"(?:가|이|번이)?\s*(?:정답|맞)", r"(?:번)?입니다", r"를\s*선택"),
    "de": (r"ist\s+(?:richtig|korrekt|die\s+richtige)",),
    "fr": (r"est\s+(?:correcte?|juste|vraie?|la\s+bonne)",),
    "es": (r"es\s+(?:la\s+)?(?:correcta|respuesta)",),
    "it": (r"è\s+(?:corretta|giusta|la\s+risposta)",),
    "pt": (r"(?:é|está)\s+(?:a\s+)?(?:correta|certa|resposta)",),
    "ru": (r"(?:верен|верно|правильный)",),
}

# Somewhere between the start of the clause and an option: it is denied.
NOT_DENYING = r"\b(?:no|without\s+(?:a\s+|any\s+)?)\s*doubt\b|\bnot\s+only\b|\bno\s+question\b"
DENYING = (
    r"❌|✗|✘|\bno(?:ne\s+of|\s+way)\b|\b(?:not|never|neither|nor|cannot|doubt|unlikely|(?:next|second|second-)\s*-?best|least\s+(?:likely|probable|plausible|similar|fitting|suitable)|avoid|hardly|wrong|incorrect|whether|unsure|excludes?"
    r"|eliminated?|rejects?|(?:rule|ruled|ruling)\s+out|anything\s+but|nicht|kein\w*|falsch"
    r"|pas|não|non|не)\b|n't\b|不|并非|ليس|\bno\s+es\b|\bno\s+(?=\S+$)"
)
# Right before an option: it is what another one is compared with.
COMPARED = (
    r"(?:\b(?:than|over|unlike|instead\s+of|rather\s+than|compared\s+(?:to|with)|in\s+contrast\s+to"
    r"|contrary\s+to|except(?:\s+for)?|without|not|no|nicht|statt|plutôt\s+que|en\s+lugar\s+de)|而不是|не)"
    rf"\s*(?:the\s+|an?\s+)?(?:{_OPTION}|选项)\s*[(]?\s*"
)
PREFERRED_TO = r"\bprefer(?:able|red)?\b[^.;:!?\n]{0,30}\bto\s+(?:the\s+)?(?:option|choice)?\s*"
# Right before an option: what is meant instead was said before.
CONTRASTED = r"(?:,\s*(?:and\s+|but\s+)?not|rather\s+than|instead\s+of|unlike)\s+(?:the\s+|an?\s+)?"
# Right after an option: it is denied.
DENIED_AFTER = (
    r"(?:(?:option|choice)\s+)?(?:(?:is|are|was|were|does|do|did|can|could|would|will|has|have)"
    r"(?:n't\b|\s+(?:\w+\s+)?not\b)|cannot\b|can't\b|won't\b|(?:is|are|was|were|seems?|looks?|must\s+be"
    r"|would\s+be)\s+(?:all\s+|both\s+|also\s+|clearly\s+|obviously\s+)?(?:wrong|incorrect|false|out"
    r"|excluded|eliminated|ruled\s+out|unlikely|impossible|inaccurate)\b|can\s+be\s+(?:ruled\s+out|"
    r"excluded|eliminated)|fails?\b|[:\-–—(]\s*(?:incorrect|wrong|no|false|not(?!\s+(?:the\s+|option\s+)?[A-Z]))\b"
    r"|\([^()\n]{0,20}\b(?:incorrect|wrong)\)|ist\s+(?:nicht|falsch)|n'est\s+pas|est\s+(?:faux|fausse"
    r"|incorrecte)|no\s+es|es\s+(?:incorrecta|falsa)|não\s+é|non\s+è|неверен|неверно|不正确|不对|错误"
    r"|(?:で|じゃ|では)(?:は)?(?:ない|なく|ありません)|(?:は|が)(?:違|間違|不正解)|(?:가|이)?\s*아[니닙]|(?:가|이|는|은)?\s*틀"
    r"|(?:\)\s*)?नहीं)"
)

# A sentence with one of these supposes, or tells what others may say.
SUPPOSING = (
    r"\b(?:if|unless|assuming|suppose|supposing|had\s+(?:\w+\s+){1,3}(?:been|had|\w+ed)|had\s+(?:it|there|the)|wenn|falls)\b"
    r"|如果|假如|もし|만약"
)
# A clause with one of these tells what others may say, what may be, or only concedes.
CONCEDING = (
    r"\b(?:although|though|while|whereas|despite|(?:might|may|could)\s+(?:also\s+)?be|someone"
    r"|some\s+(?:people\s+|would\s+|might\s+|may\s+)+|one\s+(?:could|might|may|can)"
    r"|(?:people|others|many)\s+(?:may|might|would|could))\b[^,.;:\n]*"
)
NOT_SUPPOSING = r"\b(?:as|even)\s+if\b|\bif\s+i\s+(?:have|had|must)\b(?:\s+to)?|\bif\s+any(?:thing)?\b"

# What follows takes back, or goes beyond, what stood before.
TURNING = (
    r"\b(?:wait|actually|however|but|correction|corrected|hmm+|sorry|mistaken?|so|thus"
    r"|therefore|hence|final|finally|in\s+conclusion|in\s+fact|rather|change|meant|no|yet|although|though"
    r"|overall|revised?|second\s+thoughts?|now|doch|aber|also|donc|mais|pero|no)\b|但|所以|因此|最终|しかし|したがって|하지만|따라서"
)
TAKEN_BACK = (
    r"\bwait\b\s*[,.!?:;…—–-]|(?:^|[.!?;:,…—–-]|\n)\s*actually\b|\bcorrection\b|\bon\s+second\s+thoughts?\b|\bhmm+\b"
    r"|\b(?:i|my)\s+(?:made\s+a\s+|was\s+)?mistaken?\b|\bsorry\b|\bi\s+(?:meant|change)\b|\bscratch\s+that\b"
    r"|\A[\s.…!,]*(?:(?:no|but|hmm)\b[,.]?\s*)?(?:that|this|it)(?:'s|\s+is|\s+was)\s+(?:wrong|incorrect"
    r"|not\s+(?:right|correct))|\A\s*[.…!]+\s*no\b[,.]?\s+\w"
)
# Before another option: it is meant as well.
ALSO = r"\b(?:and|or)\s+(?:so\s+is\s+|also\s+)?(?:option\s+|choice\s+)?[(]?"
# Before another option, after a "but": that one is meant.
BUT_IS = r"\b(?:is|was|be|option|choice)\s*[(]?"
# Before a letter in brackets that is no option's.
REFERRING = r"\b(?:see|figure|fig\.?|table|equation|eq\.?|section|page)\s*\(?"

# The answer says that it does not know, or does not see.
_KNOWING = (
    r"(?:(?:say|tell|determine|answer|see|view|access|identify|know|choose|decide|confirm|provide|give"
    r"|make\s+out|recogni[sz]e|judge|assess|help|assist|be\s+(?:sure|certain|determined|seen|answered))\b"
    r"|(?:\w+\s+)(?:say|tell|determine|answer|see|identify|know|choose)\b)"
)
REFUSING = (
    r"\b(?:(?:cannot|can't|can\s+not|could\s+not|couldn't|unable\s+to|not\s+able\s+to|impossible\s+to"
    rf"|not\s+possible\s+to|hard\s+to|difficult\s+to|no\s+way\s+to)\s+{_KNOWING}"
    r"|(?:do\s+not|don't)\s+(?:know|have\s+(?:access|enough))\b|not\s+(?:sure|certain)\b|unsure\b|unclear\b"
    r"|not\s+enough\s+(?:information|details?|context)\b|sorry\b|apologi[sz]e\b|no\s+(?:idea|answer|access)\b"
    r"|unable\s+to\b|no\s+(?:image|picture|photo)\b|without\s+the\s+(?:image|picture)\b)"
)
YET = r"\b(?:but|however|still|nevertheless)\b"

# Between two options that are named together.
_AND = (
    r"and|or|and/or|nor|oder|und|ou|et|o|y|e|или|и|أو|و|या|और|か|と|또는|이나|或者?|和|与|及|&|/|\+|,|、"
)
JOINING = re.compile(
    rf"\s*[\"']?\s*(?:,\s*)?\(?(?:{_AND}|→|[-=]>)\s*(?:(?:either|maybe|perhaps|even|also|possibly)\s+)?"
    r"(?:the\s+|an?\s+)?(?:(?:option|choice|answer)s?\s*)?[\"']?\s*",
    re.IGNORECASE,
)
