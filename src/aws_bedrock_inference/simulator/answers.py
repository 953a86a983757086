"""Create the answers of the simulated models. The same prompt, seed and model always produce the same answer.

The simulator counts four characters as one token. The lengths of answers have a log-normal distribution, as in reality:
most answers are short, and a few are long.
"""

from __future__ import annotations

import json
import operator
from base64 import b64encode
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from math import cos, exp, log, pi, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference.simulator.going_on import continuation
from aws_bedrock_inference.simulator.prompted import prompted_answer
from aws_bedrock_inference.simulator.schema_example import example, object_example
from aws_bedrock_inference.simulator.tools import Offer, Tool, choose

if TYPE_CHECKING:
    from aws_bedrock_inference.simulator.going_on import Broken
    from aws_bedrock_inference.simulator.settings import Answers
    from aws_bedrock_inference.simulator.wishes import Cited

CHARACTERS_PER_TOKEN = 4
MEDIA_TOKENS = 1600
"""The number of tokens that the simulator counts for an image or a document. It does not examine their content."""

LARGEST = 2**31 - 1
"""The largest integer of the service model's type `Integer`: https://smithy.io/2.0/spec/simple-types.html#integer"""

NAMED, OFF = "named", "off"
"""Settings for a model that is free to choose its tools. `named`: the model uses the tools that the question names.
`off`: the model uses no tools.
"""

_LONGEST = 1_000_000  # maximum tokens of one answer
_REASONING = 40  # tokens of the reasoning before an answer

END, MAXIMUM, STOP, TOOL, FILTERED, GUARDRAIL = (
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "content_filtered",
    "guardrail_intervened",
)


@dataclass(slots=True)
class Prompt:
    """The parts of a request from which the simulator creates the answer. All request formats use this class.

    * `format`: the JSON schema that the answer must follow.
    * `cited`: the document that the answer quotes.
    * `broken`: the last answer in the conversation. The model continues this answer if it was interrupted.
    """

    max_tokens: int | None = None
    stop_sequences: tuple[str, ...] = ()
    offer: Offer = field(default_factory=Offer)
    format: Any = None
    thinks: bool = False
    cited: Cited | None = None
    broken: Broken | None = None
    documents: int = 0
    system: str = ""
    tokens: int = 0
    cached_tokens: int = 0
    cached_parts: int = 0
    parts: list[str] = field(default_factory=list)

    def add(self, text: Any) -> None:
        """Add a piece of text. Raises `TypeError` if it is not a string."""
        if not isinstance(text, str):
            raise TypeError(f"a text of the prompt is of type {type(text).__name__}; send a string")
        self.parts.append(text)
        self.tokens += count(text)

    def add_media(self) -> None:
        """Add something that is not text, such as an image."""
        self.tokens += MEDIA_TOKENS

    def mark(self) -> None:
        """Mark everything that was added so far as cacheable in the prompt cache."""
        self.cached_tokens, self.cached_parts = self.tokens, len(self.parts)

    def check(self) -> None:
        """Raise `AttributeError`, `TypeError` or `ValueError` for settings that no model would accept."""
        if self.max_tokens is not None and not 1 <= operator.index(self.max_tokens) <= LARGEST:
            raise ValueError(f"the maximum number of tokens is {self.max_tokens}; send a number from 1 to {LARGEST}")
        texts: list[Any] = [*self.stop_sequences, *self.offer.schemas]
        if not all(isinstance(text, str) and text for text in texts):
            raise TypeError(
                "a stop sequence or a tool's name is empty or not a string; send a string with at least one character"
            )

    @property
    def text(self) -> str:
        """The whole text of the prompt, which determines the answer."""
        return "\n".join(self.parts)

    @property
    def formatted(self) -> str | None:
        """An answer in the format that the request asks for, or None if the request asks for no format.

        The request can contain the format as a JSON schema in its settings, or as a description in its prompt.
        """
        if self.format is not None:
            return json.dumps(example(self.format))
        return prompted_answer(f"{self.system}\n{self.offer.question}")


class Usage(NamedTuple):
    """The tokens of one request, as the answer reports them."""

    input: int
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0

    @property
    def total(self) -> int:
        """The sum of all tokens."""
        return self.input + self.cache_read + self.cache_write + self.output


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer and its stop reason.

    * `text`: the text of the answer. If the model calls a tool, `text` is the input of the tool, as JSON.
    * `identity`: the hexadecimal text that the ids in the answer contain, such as `3f9a...` in the message id
      `msg_bdrk_3f9a...`.
    * `normal`: a number from the standard normal distribution, which varies the latency.
    """

    text: str
    stop: str
    stop_sequence: str | None
    tokens: int
    tool: Tool | None
    identity: str
    normal: float
    reasoning: str = ""
    signature: str = ""
    cited: Cited | None = None

    @property
    def input(self) -> Any:
        """The input of the tool, or an empty dictionary if the answer was truncated before the input was complete."""
        try:
            return json.loads(self.text)
        except ValueError:
            return {}


def count(text: str) -> int:
    """Return the number of tokens in a text."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def answer(prompt: Prompt, *, seed: int, model: str, limit: int, settings: Answers, reasons: bool) -> Answer:
    """Return the answer to the prompt, with at most `limit` tokens.

    `reasons` is True for a model that writes its reasoning before every answer. The reasoning has a signature only if
    the request turned on thinking.
    """
    digest = _digest(seed, model, prompt.text)
    _, second, _ = _drawn(digest)
    reasoning = _cut(_prose(_REASONING, second), limit) if prompt.thinks or reasons else ""
    limit -= count(reasoning)
    tool = choose(prompt.offer, settings.tool_script, named=settings.tools == NAMED)
    stop, found = END, None
    if tool:
        text, stop = json.dumps(object_example(tool.schema)), TOOL
    elif (formatted := prompt.formatted) is not None:
        text = formatted
    else:
        going_on = _going_on(prompt, digest, seed, model, settings)
        text = _words(digest, settings) if going_on is None else going_on
        for sequence in prompt.stop_sequences:
            head, separator, _ = text.partition(sequence)
            if separator:
                text, stop, found = head, STOP, sequence
    if count(text) > limit:
        text, stop, found = _cut(text, limit), MAXIMUM, None
    identity = digest[24:].hex()
    return Answer(
        text,
        stop,
        found,
        count(reasoning) + count(text),
        tool,
        identity,
        _normal(*_drawn(digest)[:2])[1],
        reasoning=reasoning,
        signature=b64encode(digest).decode() if prompt.thinks else "",
        cited=None if tool or prompt.format is not None else prompt.cited,
    )


def _digest(seed: int, model: str, text: str) -> bytes:
    return blake2b(f"{seed}\0{model}\0{text}".encode(), digest_size=32).digest()


def _drawn(digest: bytes) -> tuple[float, float, float]:
    """Return three numbers from 0 to 1, computed from `digest` (a hash of the seed, the model and the prompt). The same
    `digest` always gives the same numbers.
    """
    first, second, third = (int.from_bytes(digest[at : at + 8]) / 2**64 for at in (0, 8, 16))
    return first, second, third


def _words(digest: bytes, settings: Answers) -> str:
    """Return an answer of whole sentences. `digest` (a hash of the seed, the model and the prompt) determines the
    answer's length and sentences.
    """
    first, second, third = _drawn(digest)
    normal, _ = _normal(first, second)
    return _prose(max(1, round(min(_LONGEST, settings.tokens * exp(normal * settings.spread)))), third)


def _going_on(prompt: Prompt, digest: bytes, seed: int, model: str, settings: Answers) -> str | None:
    """Return the rest of the interrupted answer in the conversation. Return None if there is nothing to continue."""
    broken = prompt.broken
    if broken is None:
        return None
    for broke in broken.readings():
        asked = [*prompt.parts[: broke.parts], *broke.prefilled]
        whole = _words(_digest(seed, model, "\n".join(asked)), settings)
        rest = continuation(broke, whole, lambda: _words(digest, settings), settings.goes_on, _drawn(digest)[0])
        if rest is not None:
            return rest
    return None


def _cut(text: str, tokens: int) -> str:
    return text[: max(0, tokens) * CHARACTERS_PER_TOKEN]


def _normal(first: float, second: float) -> tuple[float, float]:
    radius = sqrt(-2 * log(1 - first))
    return radius * cos(2 * pi * second), radius * cos(2 * pi * (second + 0.25))


def _prose(tokens: int, where: float) -> str:
    """Return whole sentences from the built-in text: about `tokens` tokens, but at least one sentence. `where`, from
    0 to 1, selects the first sentence.
    """
    text, starts = _corpus()
    start = starts[int(where * len(starts))]
    wanted = start + tokens * CHARACTERS_PER_TOKEN
    repeated = text if wanted < len(text) else text * (wanted // len(text) + 2)
    end = repeated.find(". ", wanted - CHARACTERS_PER_TOKEN)
    return repeated[start : end + 1]


@cache
def _corpus() -> tuple[str, list[int]]:
    sentences = files(__package__).joinpath("answers.txt").read_text(encoding="utf-8").splitlines()
    starts = [sum(len(sentence) + 1 for sentence in sentences[:index]) for index in range(len(sentences))]
    return " ".join(sentences) + " ", starts
