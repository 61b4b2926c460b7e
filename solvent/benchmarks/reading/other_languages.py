"""What `phrases` holds for English, for other languages: words around an option, as data.

Of a language there may be: *stating* and *concluding* words before an option, *confirming* ones
after it, *denying* ones somewhere in the clause before it, and *denied* ones right after it.
"""

from __future__ import annotations

from types import MappingProxyType

STATING = MappingProxyType(
    {
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
            r"\b(?:antwort|lösung|option)\b[^.;:!?\n]{0,30}?(?:ist|lautet|wäre|:)\s*"
            r"(?:option|antwort)?\s*\(?",
            r"\brichtig (?:ist|wäre)\s*(?:option|antwort)?\s*",
            r"\bich (?:wähle|nehme|denke)\s*(?:,?\s*es ist )?(?:option|antwort)?\s*",
            r"\b(?:richtige|korrekte) (?:antwort|lösung|option)\s*",
            r"\bsondern\s*(?:option|antwort)?\s*",
            r"(?:^|\n)antwort\s*",
        ),
        "fr": (
            r"\b(?:réponse|option|solution|choix)\b[^.;:!?\n]{0,30}?(?:est|:|serait)\s*:?\s*"
            r"(?:la réponse |l'option |la )?\(?",
            r"\bje (?:choisis|sélectionne|dirais) (?:l'option |la réponse |la )?\(?",
            r"(?:^|\n)réponse\s*",
            r"\bc'est la (?:réponse |bonne réponse )?",
        ),
        "es": (
            r"\b(?:respuesta|opción|solución|alternativa)\b[^.;:!?\n]{0,30}?(?:es|:|sería)\s*:?\s*"
            r"(?:la opción |la )?\(?",
            r"\bsino (?:la )?",
            r"\b(?:elijo|escojo|selecciono) (?:la )?(?:opción )?\(?",
        ),
        "it": (
            r"\b(?:risposta|opzione|soluzione)\b[^.;:!?\n]{0,30}?(?:è|:)\s*:?\s*"
            r"(?:la |l'opzione )?\(?",
            r"\bscelgo (?:la |l'opzione )?\(?",
        ),
        "pt": (
            r"\b(?:resposta|opção|alternativa|solução)\b[^.;:!?\n]{0,30}?(?:é|:)\s*:?\s*"
            r"(?:a opção |a )?\(?",
            r"\b(?:escolho|seleciono) (?:a )?(?:opção )?\(?",
        ),
        "ru": (
            r"\b(?:ответ|вариант)\b\s*(?:ответа)?\s*(?::|—|–|-|это)?\s*(?:вариант)?\s*\(?",
            r"\bвыбираю\s*(?:вариант|ответ)?\s*",
        ),
        "ar": (
            r"(?:الإجابة|الاجابة|الجواب|الخيار|الاختيار)\s*(?:الصحيحة|الصحيح)?\s*(?:هي|هو)?\s*:?\s*"
            r"(?:الخيار)?\s*\(?",
            r"(?:أختار|اختار)\s*(?:الخيار)?\s*",
        ),
        "hi": (r"(?:उत्तर|जवाब|विकल्प)\s*(?:है)?\s*:?\s*(?:विकल्प)?\s*\(?",),
    }
)
CONCLUDING = MappingProxyType(
    {
        "zh": (
            r"(?:所以|因此|故)(?:是|选)?\s*,?\s*",
            r"选项\s*",
            r"(?:^|[,。])\s*是\s*",
            r"(?:的是|认为是?|就是)\s*",
        ),
        "ja": (r"(?:したがって|よって)、?\s*", r"選択肢\s*"),
        "ko": (r"(?:옵션|선택지|선택)\s*",),
        "de": (r"\b(?:also|daher|somit|es ist)\s*(?:option|antwort)?\s*",),
        "fr": (r"\b(?:donc|c'est|mais)\s*(?:l'option|la)?\s*", r"(?:^|\n)option\s*"),
        "es": (
            r",\s*es (?:la )?",
            r"(?:por lo tanto|así que)\s*,?\s*(?:la )?",
            r"\bes la ",
            r"(?:^|\n)opción\s*",
        ),
        "it": (r"\bma ",),
        "pt": (r"(?:portanto|logo|mas)\s*,?\s*(?:a )?", r"(?:^|\n)(?:alternativa|opção)\s*"),
        "ru": (r"\bа ",),
        "ar": (r"بل ",),
    }
)
CONFIRMING = MappingProxyType(
    {
        "zh": (r"(?:选项)?(?:是|为)?(?:正确|对的|正确答案)", r"选项(?=\s*(?:[。,.]|$))"),
        "ja": (r"(?:が|は)(?:正解|正しい)", r"です", r"を選", r"だと思"),
        "ko": (r"(?:가|이|번이)?\s*(?:정답|맞)", r"(?:번)?입니다", r"를\s*선택"),
        "de": (r"ist (?:richtig|korrekt|die richtige)",),
        "fr": (r"est (?:correcte?|juste|vraie?|la bonne)",),
        "es": (r"es (?:la )?(?:correcta|respuesta)",),
        "it": (r"è (?:corretta|giusta|la risposta)",),
        "pt": (r"(?:é|está) (?:a )?(?:correta|certa|resposta)",),
        "ru": (r"(?:верен|верно|правильный)",),
    }
)
DENYING = MappingProxyType(
    {
        "zh": (r"不|并非",),
        "de": (r"\b(?:nicht|kein\w*|falsch)\b",),
        "fr": (r"\bpas\b",),
        "es": (r"\bno es\b",),
        "it": (r"\bnon\b",),
        "pt": (r"\bnão\b",),
        "ru": (r"\bне\b",),
        "ar": (r"ليس",),
    }
)
DENIED = MappingProxyType(
    {
        "zh": (r"不正确|不对|错误",),
        "ja": (r"(?:で|じゃ|では)(?:は)?(?:ない|なく|ありません)", r"(?:は|が)(?:違|間違|不正解)"),
        "ko": (r"(?:가|이)?\s*아[니닙]", r"(?:가|이|는|은)?\s*틀"),
        "de": (r"ist (?:nicht|falsch)",),
        "fr": (r"n'est pas", r"est (?:faux|fausse|incorrecte)"),
        "es": (r"no es", r"es (?:incorrecta|falsa)"),
        "it": (r"non è",),
        "pt": (r"não é",),
        "ru": (r"неверен|неверно",),
        "hi": (r"(?:\)\s*)?नहीं",),
    }
)
# Between two options that are named together.
AND = "oder|und|ou|et|o|y|e|или|и|أو|و|या|और|か|と|또는|이나|或者?|和|与|及|、"
# Before what is compared: "instead of", "without", "not".
COMPARED = r"nicht|statt|plutôt que|en lugar de"
TURNING = r"\b(?:doch|aber|also|donc|mais|pero)\b|但|所以|因此|最终|しかし|したがって|하지만|따라서"
SUPPOSING = r"\b(?:wenn|falls)\b|如果|假如|もし|만약"
