"""How a conversation is written, in the plain form of each format that families use.

What a format writes of its own accord (default system turns, tools, dates) is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

THOUGHT = ("<think>\n", "<think>\n\n</think>\n\n")  # open, and closed at once


@dataclass(frozen=True, kw_only=True)
class Turns:
    """A format: texts around the parts of a turn, and the tokens that only it writes."""

    system: tuple[str, str]  # before and after
    user: tuple[str, str]
    assistant: tuple[str, str]  # what opens an answer, and what ends it
    special: tuple[str, ...]  # tokens, in the order of their ids; padding is the first
    eos: str
    bos: str | None = None
    opening: str = ""  # what the template itself writes first
    gap: str = ""  # between the opening of an answer and an answer that is given
    adds_bos: bool = False  # whether the tokenizer writes `bos`
    stops: tuple[str, ...] = ()  # what else ends a generated answer
    chats: bool = True  # whether checkpoints come with a chat template
    thinks: bool = False  # whether an answer begins with a thought unless that is turned off

    def template(self, image: str) -> str:
        """A Jinja chat template.

        Arguments:
            image: what stands for one picture.
        """
        turns = "".join(
            f"{{%- {'if' if number == 0 else 'elif'} message['role'] == '{role}' -%}}"
            f"{literal(around[0])}{{{{ ns.text }}}}{literal(around[1])}"
            for number, (role, around) in enumerate(self._roles())
        )
        opened = literal(self.assistant[0])
        if self.thinks:
            opened += (
                "{%- if enable_thinking is defined and not enable_thinking -%}"
                f"{literal(THOUGHT[1])}{{%- else -%}}{literal(THOUGHT[0])}{{%- endif -%}}"
            )
        return (
            f"{literal(self.opening)}{{%- for message in messages -%}}{parts(image)}{turns}"
            "{%- endif -%}{%- endfor -%}{%- if add_generation_prompt -%}"
            f"{opened}{{%- endif -%}}"
        )

    @property
    def ends(self) -> tuple[str, ...]:
        """Tokens that end a generated answer, as generation_config.json lists them."""
        end = next((token for token in self.special if self.assistant[1].startswith(token)), None)
        return tuple(dict.fromkeys(filter(None, (self.eos, end, *self.stops))))

    def _roles(self) -> tuple[tuple[str, tuple[str, str]], ...]:
        opened, end = self.assistant
        answer = (opened + self.gap, end)
        return (("system", self.system), ("user", self.user), ("assistant", answer))


def literal(text: str) -> str:
    """Jinja that writes a text, line breaks included, whatever trimming is in force."""
    return f"{{{{- {text!r} -}}}}" if text else ""


def parts(image: str) -> str:
    """Jinja that puts the parts of a message's content, in their order, into `ns.text`."""
    return (
        "{%- set ns = namespace(text='') -%}{%- if message['content'] is string -%}"
        "{%- set ns.text = message['content'] -%}{%- else -%}"
        "{%- for part in message['content'] -%}{%- if part['type'] == 'image' -%}"
        f"{{%- set ns.text = ns.text + {image!r} -%}}"
        "{%- elif part['type'] == 'text' -%}{%- set ns.text = ns.text + part['text'] -%}"
        "{%- endif -%}{%- endfor -%}{%- endif -%}"
    )


def chatml(thinks: bool = False) -> Turns:
    """Of Qwen, InternVL, LFM and many more, and of every family whose own format is not known."""
    return Turns(
        system=("<|im_start|>system\n", "<|im_end|>\n"),
        user=("<|im_start|>user\n", "<|im_end|>\n"),
        assistant=("<|im_start|>assistant\n", "<|im_end|>\n"),
        special=("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        eos="<|im_end|>",
        thinks=thinks,
    )


CHATML = chatml()
VICUNA = Turns(
    system=("", " "),
    user=("USER: ", " "),
    assistant=("ASSISTANT:", "</s>"),
    special=("<pad>", "<s>", "</s>", "<unk>"),
    bos="<s>",
    eos="</s>",
    adds_bos=True,
    gap=" ",
)
MISTRAL = Turns(
    system=("[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
    user=("[INST]", "[/INST]"),
    assistant=("", "</s>"),
    special=(
        *("<pad>", "<s>", "</s>", "<unk>", "[INST]", "[/INST]"),
        *("[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
    ),
    bos="<s>",
    eos="</s>",
    opening="<s>",
    adds_bos=True,
)
GEMMA = Turns(
    system=("<start_of_turn>user\n", "\n\n"),
    user=("<start_of_turn>user\n", "<end_of_turn>\n"),
    assistant=("<start_of_turn>model\n", "<end_of_turn>\n"),
    special=("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"),
    bos="<bos>",
    eos="<eos>",
    opening="<bos>",
    adds_bos=True,
)
GEMMA_4 = Turns(
    system=("<|turn>system\n", "<turn|>\n"),
    user=("<|turn>user\n", "<turn|>\n"),
    assistant=("<|turn>model\n", "<turn|>\n"),
    special=("<pad>", "<eos>", "<bos>", "<unk>", "<|turn>", "<turn|>"),
    bos="<bos>",
    eos="<eos>",
    opening="<bos>",
    adds_bos=True,
)
PALIGEMMA = Turns(  # the processor writes <bos> after the image, and a line break at the end
    system=("", "\n"),
    user=("", ""),
    assistant=("", "<eos>"),
    special=("<pad>", "<eos>", "<bos>", "<unk>"),
    bos="<bos>",
    eos="<eos>",
    adds_bos=True,
    chats=False,
)
GLM = Turns(
    system=("<|system|>\n", ""),
    user=("<|user|>\n", ""),
    assistant=("<|assistant|>\n", ""),
    special=(
        *("<|endoftext|>", "[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>"),
        "<|observation|>",
    ),
    eos="<|endoftext|>",
    opening="[gMASK]<sop>",
    stops=("<|user|>", "<|observation|>"),
    thinks=True,
)
COHERE = Turns(
    system=("<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
    user=("<|START_OF_TURN_TOKEN|><|USER_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
    assistant=("<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
    special=(
        *("<PAD>", "<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>", "<UNK>", "<|START_OF_TURN_TOKEN|>"),
        *("<|SYSTEM_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>"),
    ),
    bos="<BOS_TOKEN>",
    eos="<|END_OF_TURN_TOKEN|>",
    opening="<BOS_TOKEN>",
    adds_bos=True,
)
UTTERANCES = Turns(
    system=("System:", "<end_of_utterance>\n"),
    user=("User:", "<end_of_utterance>\n"),
    assistant=("Assistant:", "<end_of_utterance>\n"),
    special=("<pad>", "<|begin_of_text|>", "<|end_of_text|>", "<end_of_utterance>"),
    bos="<|begin_of_text|>",
    eos="<|end_of_text|>",
    opening="<|begin_of_text|>",
    adds_bos=True,
    gap=" ",
)
IDEFICS_2 = Turns(
    system=("System:", "<end_of_utterance>\n"),
    user=("User:", "<end_of_utterance>\n"),
    assistant=("Assistant:", "<end_of_utterance>\n"),
    special=("<unk>", "<s>", "</s>", "<end_of_utterance>"),
    bos="<s>",
    eos="</s>",
    adds_bos=True,
    gap=" ",
)
SMOL = Turns(
    system=("System:", "<end_of_utterance>\n"),
    user=("User:", "<end_of_utterance>\n"),
    assistant=("Assistant:", "<end_of_utterance>\n"),
    special=("<|im_end|>", "<|im_start|>", "<end_of_utterance>"),
    bos="<|im_start|>",
    eos="<end_of_utterance>",
    opening="<|im_start|>",
    gap=" ",
)
BEGUN, ENDED = (
    "<\uff5cbegin\u2581of\u2581sentence\uff5c>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
)
DEEPSEEK = Turns(
    system=("", "\n\n"),
    user=("User: ", "\n\n"),
    assistant=("Assistant:", ENDED),
    special=("<\uff5c\u2581pad\u2581\uff5c>", BEGUN, ENDED),
    bos=BEGUN,
    eos=ENDED,
    adds_bos=True,
    gap=" ",
)
JANUS = Turns(
    system=("", "\n\n"),
    user=("<|User|>: ", "\n\n"),
    assistant=("<|Assistant|>:", ENDED),
    special=(*DEEPSEEK.special, "<|User|>", "<|Assistant|>"),
    bos=BEGUN,
    eos=ENDED,
    adds_bos=True,
    gap=" ",
)
KIMI = Turns(
    system=("<|im_system|>system<|im_middle|>", "<|im_end|>"),
    user=("<|im_user|>user<|im_middle|>", "<|im_end|>"),
    assistant=("<|im_assistant|>assistant<|im_middle|>", "<|im_end|>"),
    special=(
        *("[PAD]", "[BOS]", "[EOS]", "<|im_end|>", "<|im_middle|>"),
        *("<|im_system|>", "<|im_user|>", "<|im_assistant|>"),
    ),
    bos="[BOS]",
    eos="[EOS]",
)
ERNIE = Turns(
    system=("", "\n"),
    user=("User: ", "\n"),
    assistant=("Assistant: ", "<|end_of_sentence|>"),
    special=("<unk>", "<|begin_of_sentence|>", "</s>", "<|end_of_sentence|>"),
    bos="<|begin_of_sentence|>",
    eos="</s>",
    opening="<|begin_of_sentence|>",
)
