"""The InvokeModel formats of the models that return numbers: embeddings of text, and the relevance of documents.

Two texts that share words have similar vectors, so a search over simulated embeddings returns useful results. Formats:
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html and public recordings, 2026-11-29.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b, shake_256
from math import sqrt
from operator import add, index
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from uuid import UUID

from aws_bedrock_inference.simulator.answers import Prompt
from aws_bedrock_inference.simulator.claude import require
from aws_bedrock_inference.simulator.error_texts import invalid
from aws_bedrock_inference.simulator.model_rules import vectors

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MOST_WORDS = 500  # words of a text that determine its vector
_KINDS = {"float", "int8", "uint8", "binary", "ubinary"}
_WORD = re.compile(r"\w+")


class Format(Protocol):
    """The format of the requests and answers of one model family."""

    counts: ClassVar[bool]  # whether the answer's headers have the number of input tokens

    def read(self, body: dict[str, Any]) -> Prompt:
        """Return the texts of a body as a prompt. Raises ServiceError for a body that the model would refuse."""

    def body(self, body: dict[str, Any], tokens: int) -> dict[str, Any]:
        """Return the body of the answer. `body` is the body of the request, whose input has `tokens` tokens."""


def embedding_format(name: str, base: str) -> Format | None:
    """Return the embedding format with this name. Return None for the format of a model that writes text."""
    kind = _FORMATS.get(name)
    return kind(base) if kind else None


class _Of:
    counts: ClassVar = True

    def __init__(self, base: str) -> None:
        self._rules = vectors(base)

    def _length(self, wanted: int | None, key: str) -> int:
        if wanted is None:
            return self._rules.length
        if wanted not in self._rules.lengths:
            raise invalid("body", problem=f"#/{key}: {wanted} is not a valid enum value")
        return wanted

    def _kinds(self, given: Any, key: str) -> list[str]:
        """Return the types of numbers that the request asks for, such as `float` or `int8`."""
        for kind in given or ():
            if kind not in _KINDS:
                raise invalid("body", problem=f"#/{key}/0: {kind!r:.40} is not a valid enum value")
        return list(given or ())

    def _prompt(self, texts: Iterable[Any], place: str) -> Prompt:
        prompt = Prompt()
        for number, text in enumerate(texts):
            prompt.add(text)
            at = place.format(number)
            if not text:
                raise invalid("body", problem=f"{at}expected minLength: 1, actual: 0")
            if len(text) > self._rules.characters:
                raise invalid("body", problem=f"{at}expected maxLength: {self._rules.characters}, actual: {len(text)}")
        return prompt


class Titan(_Of):
    """The format with `inputText` in the request and `embedding` in the answer."""

    _length_key = "dimensions"

    def read(self, body: dict[str, Any]) -> Prompt:
        """Return the prompt from `inputText`."""
        require(body, "inputText")
        self._wanted(body)
        self._kinds(body.get("embeddingTypes"), "embeddingTypes")
        return self._prompt([body["inputText"]], "")

    def body(self, body: dict[str, Any], tokens: int) -> dict[str, Any]:
        """Return the body of the answer.

        * Version 1 of the model: `embedding` contains the vector.
        * Version 2: `embeddingsByType` contains one vector for each number type that the request names. The default
          type is `float`. The vector of type `float` is also in `embedding`.
        """
        vector = text_vector(body.get("inputText", ""), self._wanted(body))
        if not self._rules.by_type:
            return {"embedding": vector, "inputTextTokenCount": tokens}
        signs = [int(number > 0) for number in vector]
        kinds = self._kinds(body.get("embeddingTypes"), "embeddingTypes") or ["float"]
        by_type = {kind: signs if kind == "binary" else vector for kind in kinds}
        whole = {"embedding": vector} if "float" in by_type else {}
        return {**whole, "embeddingsByType": by_type, "inputTextTokenCount": tokens}

    def _wanted(self, body: dict[str, Any]) -> int:
        return self._length(body.get(self._length_key), self._length_key)


class TitanImage(Titan):
    """The format with `inputText`, `inputImage` or both in the request, and `embedding` in the answer."""

    def read(self, body: dict[str, Any]) -> Prompt:
        """Return the prompt from `inputText` and `inputImage`. A picture counts as a fixed number of tokens."""
        if "inputText" not in body and "inputImage" not in body:
            raise invalid("body", problem="#: required key [inputText] not found")
        self._wanted(body)
        prompt = self._prompt([body["inputText"]] if "inputText" in body else [], "")
        if "inputImage" in body:
            prompt.add_media()
        return prompt

    def body(self, body: dict[str, Any], tokens: int) -> dict[str, Any]:
        """Return the body of the answer, which contains one vector."""
        content = f"{body.get('inputText', '')} {body.get('inputImage', '')}"
        return {"embedding": text_vector(content, self._wanted(body)), "inputTextTokenCount": tokens}

    def _wanted(self, body: dict[str, Any]) -> int:
        return self._length((body.get("embeddingConfig") or {}).get("outputEmbeddingLength"), "outputEmbeddingLength")


class Nova(_Of):
    """The format with one text, picture, document, video or sound in the request, and a list of vectors in the
    answer.
    """

    def read(self, body: dict[str, Any]) -> Prompt:
        """Return the prompt from `singleEmbeddingParams`."""
        require(body, "taskType", "singleEmbeddingParams")
        wanted = body["singleEmbeddingParams"]
        self._length(wanted.get("embeddingDimension"), "singleEmbeddingParams/embeddingDimension")
        if self._kind(wanted) == "text":
            return self._prompt([wanted["text"]["value"]], "#/singleEmbeddingParams/text/value: ")
        prompt = Prompt()
        prompt.add_media()
        return prompt

    def body(self, body: dict[str, Any], tokens: int) -> dict[str, Any]:  # noqa: ARG002 - Format's
        """Return the body of the answer: the vector, and the type of its input, such as `TEXT` or `IMAGE`."""
        wanted = body["singleEmbeddingParams"]
        kind = self._kind(wanted)
        length = self._length(wanted.get("embeddingDimension"), "embeddingDimension")
        content = wanted["text"]["value"] if kind == "text" else str(wanted[kind])
        return {"embeddings": [{"embedding": text_vector(content, length), "embeddingType": kind.upper()}]}

    def _kind(self, wanted: dict[str, Any]) -> str:
        kinds = [kind for kind in ("text", "image", "video", "audio", "document") if kind in wanted]
        if len(kinds) != 1:
            raise invalid("body", problem=f"#/singleEmbeddingParams: {len(kinds)} inputs found, 1 expected")
        return kinds[0]


class Cohere(_Of):
    """The format with `texts`, `images` or `inputs` in the request and `embeddings` in the answer."""

    def read(self, body: dict[str, Any]) -> Prompt:
        """Return the prompt from the `texts`, `images` and `inputs` of a body. Each image in `images` and each item of
        `inputs` counts as a fixed number of tokens.
        """
        require(body, "input_type")
        texts, others = body.get("texts") or [], [*(body.get("images") or []), *(body.get("inputs") or [])]
        if not texts and not others:
            raise invalid("body", problem="#: required key [texts] not found")
        if len(texts) > self._rules.texts:
            found = f"#/texts: expected maximum item count: {self._rules.texts}, found: {len(texts)}"
            raise invalid("body", problem=found)
        self._length(body.get("output_dimension"), "output_dimension")
        self._kinds(body.get("embedding_types"), "embedding_types")
        cut = body.get("truncate") in {"START", "END", "LEFT", "RIGHT"}
        prompt = self._prompt((text[: self._rules.characters] if cut else text for text in texts), "#/texts/{}: ")
        for _ in others:
            prompt.add_media()
        return prompt

    def body(self, body: dict[str, Any], tokens: int) -> dict[str, Any]:  # noqa: ARG002 - Format's
        """Return the body of the answer, with one vector for each item of `texts`, `images` and `inputs`.

        If the request names number types, such as `int8`, `embeddings` maps each type to a list of vectors. If it names
        no type, `embeddings` is normally a plain list of vectors. Some models return `{"float": [...]}` instead.
        """
        texts = body.get("texts") or []
        inputs = [*texts, *map(str, body.get("images") or []), *map(str, body.get("inputs") or [])]
        length = self._length(body.get("output_dimension"), "output_dimension")
        found = [text_vector(text, length) for text in inputs]
        kinds = self._kinds(body.get("embedding_types"), "embedding_types")
        if not kinds and self._rules.by_type:
            kinds = ["float"]
        by_type = {kind: [of_type(vector, kind) for vector in found] for kind in kinds}
        return {
            "embeddings": by_type or found,
            "id": _identity(inputs),
            "response_type": "embeddings_by_type" if by_type else "embeddings_floats",
            "texts": list(texts),
        }


class Rerank(_Of):
    """The format with `query` and `documents` in the request, and `results` in the answer. The best result comes
    first.
    """

    counts = False

    def read(self, body: dict[str, Any]) -> Prompt:
        """Return the prompt from the query and the documents."""
        require(body, "query", "documents")
        index(body.get("top_n") or 0)
        return self._prompt([body["query"], *map(_document, body["documents"])], "")

    def body(self, body: dict[str, Any], tokens: int) -> dict[str, Any]:  # noqa: ARG002 - Format's
        """Return the body of the answer: the indexes of the documents, with their similarity to the query."""
        query = text_vector(body["query"], self._rules.length)
        scores = [
            sum(map(float.__mul__, query, text_vector(_document(text), self._rules.length)))
            for text in body["documents"]
        ]
        best = sorted(range(len(scores)), key=lambda number: -scores[number])[: body.get("top_n") or None]
        return {"results": [{"index": n, "relevance_score": min(1.0, max(0.0, scores[n]))} for n in best]}


_FORMATS: dict[str, type[Titan | TitanImage | Nova | Cohere | Rerank]] = {
    "titan-embedding": Titan,
    "titan-image-embedding": TitanImage,
    "nova-embedding": Nova,
    "cohere-embedding": Cohere,
    "rerank": Rerank,
}


def text_vector(text: str, length: int) -> list[float]:
    """Return the unit vector of a text, which is the sum of the vectors of its words. The vector of a word looks
    random, but is always the same.
    """
    words = dict.fromkeys(_WORD.findall(text.lower())[:_MOST_WORDS]) or {text: None}
    total = [0] * length
    for word in words:
        total = list(map(add, total, _word_vector(word, length)))
    size = sqrt(sum(number * number for number in total)) or 1.0
    return [round(number / size, 8) for number in total]


@lru_cache(maxsize=2048)
def _word_vector(word: str, length: int) -> tuple[int, ...]:
    # Odd numbers, so that none of them is 0.
    return tuple(2 * byte - 255 for byte in shake_256(word.encode()).digest(length))


def of_type(vector: Sequence[float], kind: str) -> list[float] | list[int]:
    """Return the vector as numbers of the type `kind`, such as `int8`.

    For `binary` and `ubinary`, eight numbers of the vector become the eight bits of one number. A bit is 1 if the
    number in the vector is positive. For example, a vector of 1024 numbers becomes 128 numbers.
    """
    if kind == "int8":
        return [max(-128, min(127, round(number * 127))) for number in vector]
    if kind == "uint8":
        return [max(0, min(255, round(number * 127) + 128)) for number in vector]
    signs = [int(number > 0) for number in vector]
    packed = [int("".join(map(str, signs[at : at + 8])), 2) for at in range(0, len(signs), 8)]
    if kind == "ubinary":
        return packed
    if kind == "binary":
        return [byte - 128 for byte in packed]
    return list(vector)


def _document(given: Any) -> str:
    return str(given.get("text", given)) if isinstance(given, dict) else given


def _identity(texts: Sequence[str]) -> str:
    return str(UUID(bytes=blake2b("\0".join(texts).encode(), digest_size=16).digest()))
