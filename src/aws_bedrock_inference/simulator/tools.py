"""Choose the tool that a simulated model uses. The tool choice of the request, the scenario's list of tools, or the
words of the user's question decide.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aws_bedrock_inference.simulator.error_texts import refused

AUTO, ANY, NONE, ONE = "auto", "any", "none", "tool"

# Words in a tool's name that do not describe its purpose.
_COMMON = frozenset(
    "a an and by call do fetch final find for from function get in is it lookup make my of on or output read response "  # noqa: SIM905 - one word a line would be a page
    "result run set show the this to tool use with".split()
)
_SHORT = 4  # maximum length of a word whose last "s" is not a plural, such as "news"
_WORD = re.compile(r"[a-z]+|[A-Z]+(?![a-z])|[A-Z][a-z]+|\d+")


class Tool(NamedTuple):
    """A tool that the model can use: its name, and the JSON schema of its input."""

    name: str
    schema: Any


@dataclass(slots=True)
class Offer:
    """The tools and the tool choice of a request, and the last question of the conversation.

    * `used`: the names of the tools that the model has used since this question.
    * `ever`: the names of the tools that the model has used in the whole conversation.
    """

    schemas: dict[str, Any] = field(default_factory=dict)
    choice: str = AUTO
    name: str = ""
    question: str = ""
    used: list[str] = field(default_factory=list)
    ever: list[str] = field(default_factory=list)

    @property
    def forced(self) -> bool:
        """True if the request requires the model to use a tool."""
        return self.choice in {ANY, ONE}

    def require(self, choice: str, name: Any = "") -> None:
        """Set the tool choice of the request. Raises ServiceError for a tool that is not offered."""
        if choice == ONE and name not in self.schemas:
            raise refused("says", problem=f"Tool '{name}' not found in provided tools")
        self.choice, self.name = choice, str(name)

    def ask(self, question: str) -> None:
        """Store a new question, and forget the tools used for the previous question. A question is a message of the
        user without tool results.
        """
        self.question = question
        self.used.clear()

    def use(self, name: str) -> None:
        """Record that the model has used this tool in the conversation."""
        self.used.append(name)
        self.ever.append(name)


def choose(offer: Offer, script: tuple[str, ...], *, named: bool) -> Tool | None:
    """Return the tool that the model uses next. Return None if the model answers in words.

    * If the request requires one specific tool, the model uses this tool.
    * A scenario can have a list of tools (`script`). The model's first answer to a question uses the first tool of the
      list, the answer after the result of this tool uses the second, and so on. Tools that the request does not offer
      are skipped.
    * Without a list, and if `named` is True, the model uses each tool that the question names, once.
    * After these tools, the model answers in words, which ends the loop of an agent.
    * With the tool choice `any`, the model must not answer in words. Instead, it uses the offered tool that it has used
      least often in the conversation. So it will also use the tool with which the agent ends its loop.
    """
    if not offer.schemas or offer.choice == NONE:
        return None
    if offer.choice == ONE:
        return Tool(offer.name, offer.schemas[offer.name])
    if script:
        wanted = [name for name in script if name in offer.schemas][len(offer.used) :]
    else:
        wanted = [name for name in _named(offer) if name not in offer.used] if named else []
    if wanted:
        return Tool(wanted[0], offer.schemas[wanted[0]])
    if offer.choice == ANY:
        return Tool(*min(offer.schemas.items(), key=lambda tool: offer.ever.count(tool[0])))
    return None


def _named(offer: Offer) -> list[str]:
    """Return the names of the tools that the user's question mentions, in the order in which it mentions them."""
    question = offer.question.lower()
    places = {name: _place(name, question) for name in offer.schemas}
    return sorted((name for name, place in places.items() if place >= 0), key=places.__getitem__)


def _place(name: str, question: str) -> int:
    """Return the position at which the question names a tool, or -1 if it does not. The question names the tool if it
    contains the tool's name, or a word of the name that is not a common word such as `get`.
    """
    telling = {word.lower() for word in _WORD.findall(name) if len(word) > 1} - _COMMON
    stems = {word.removesuffix("s") if len(word) > _SHORT else word for word in telling}
    words = "|".join(map(re.escape, sorted({name.lower(), *stems}, key=len, reverse=True)))
    found = re.search(rf"(?<![a-z0-9])(?:{words})(?:s|es|ed|ing)?(?![a-z0-9])", question)
    return found.start() if found else -1
