"""How a generated answer is read: from text to one of the options, or to an honest "cannot tell".

`cleaning` drops what is not the answer, `option_marks` finds every place where an option is named,
`standing` says what the words around such a place make of it (stated, denied, supposed), and
`choosing` decides by rules in a fixed order. `polarity` reads yes and no. The words of languages
are data: `phrases` and `other_languages`.
"""
