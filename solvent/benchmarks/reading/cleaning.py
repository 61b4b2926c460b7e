"""The answer without thinking blocks, markdown, a template's tokens and LaTeX."""

from __future__ import annotations

import re
import unicodedata

BLOCKS = r"think(?:ing)?|reasoning|thought"
SPECIAL = re.compile(r"<\|\w+\|>|</?s>|<eos>|<bos>|<(?:start|end)_of_turn>|\[/?INST\]")
SPEAKER = re.compile(r"(?i)^\s*(?:assistant|model)\s*:")
MACRO = re.compile(r"\\(?:text|mathrm|mathbf|mathsf|textbf|textit|textrm|bf|rm)\s*\{([^{}]*)\}")
BOX = re.compile(r"[$\\\[(]*\s*\\(?:boxed|fbox)\s*\{([^{}]*)\}\s*[$\\\])]*")


def without_reasoning(raw: str) -> str:
    """The answer without thinking blocks, the tokens of a template and the marks of markdown."""
    text = unicodedata.normalize("NFKC", raw)
    text = text.replace("\ufe0f", "")  # asks for a coloured form of the sign before it
    text = re.sub(r"◁(/?)think▷", r"<\1think>", text)
    text = re.sub(rf"(?s)<({BLOCKS})>.*?(?:</\1>|\Z)", " ", text)
    text = re.split(rf"</(?:{BLOCKS})>", text)[-1]  # some templates open the block in the prompt
    text = SPEAKER.sub("", SPECIAL.sub(" ", text))
    text = re.sub(r"~~[^~\n]+~~", " ", text)  # struck out
    text = re.sub(r"(?<!\w)\*+|\*+(?!\w)|`+|~~|__+|^[#>]+\s", "", text, flags=re.MULTILINE)
    return text.replace("\u2019", "'").strip()


def plain_minus(text: str) -> str:
    """A minus sign becomes "-", and so does a dash that stands for one or between two numbers."""
    return re.sub(r"−|(?<![^\s=(:$])–(?=[\d.])|(?<=\d)–(?=\d)", "-", text)


def without_markup(text: str) -> str:
    """An answer inside tags is taken alone; a box of LaTeX becomes a statement in words."""
    tagged = re.findall(r"(?is)<(?:answer|ans|final_answer|conclusion)>(.*?)(?:</|\Z)", text)
    text = tagged[-1] if tagged else text
    plain = MACRO.sub(r"\1", MACRO.sub(r"\1", text))
    return BOX.sub(r" answer: \1;", plain).strip()


def normalised(text: str) -> str:
    """For comparing whole answers: case folded, single spaces, no outer punctuation."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return re.sub(r"^[^\w+\-]+|[^\w+\-%]+$", "", folded)
