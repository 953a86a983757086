"""Made-up prompts in several languages, and a stand-in for a tokenizer: no real one is asked.

The stand-in counts as the tokenizers of today roughly do: short pieces of words, fewer letters to a piece where the
script is rare, one token for a sign or a Chinese character, up to three digits, a run of spaces.
"""

from __future__ import annotations

import random
import re
from typing import NamedTuple

from aws_bedrock_inference.tokens.ratio import TokenGauge

PIECES = re.compile(r"[A-Za-z]{1,5}|[\u0400-\u04ff]{1,3}|[\u3040-\u9fff]|[^\W\d_]{1,2}|\d{1,3}|[^\w\s]|_|\n+|  +")
OVERHEAD = 6  # tokens that a chat template adds to each prompt

WORDS = {
    "English": "the of quota answers while service every model waits a and tokens minute reserved is request in we to",
    "German": "die Zuständigkeit wird während Überschreitung und Dienst eine Antwort größtenteils Warteschlange der",
    "Russian": "и запрос превышение сервис каждый модель ответ в на минуту ожидание очередь не ограничение был",
    "Japanese": "要求 は 制限 を 超えた ため 待機 します 一分間 の 上限 に 達する と 拒否 される モデル が 応答 する",
    "Python": "def return self.limit if None: else (now) -> for x in items: == [0] yield from step(call) lambda: += {}",
    "JSON": '"id":4711, "name":"x", "ok":true, {"a":[1,2,3]} "at":1763705351, null, "rate":0.25, ["u","v"]',
}
SPACES = {"Japanese": "", "Python": "\n    "}


def tokens_in(text: str) -> int:
    return len(PIECES.findall(text)) + OVERHEAD


MIXED = "all six, mixed"
CASES = [*WORDS, MIXED]


def prompts(case: str, number: int, seed: int = 1) -> list[str]:
    dice = random.Random(f"{case}{seed}")  # noqa: S311 - the same prompts every time
    made = []
    for turn in range(number):
        language = list(WORDS)[turn % len(WORDS)] if case == MIXED else case
        words = WORDS[language].split()
        made.append(SPACES.get(language, " ").join(dice.choices(words, k=dice.randint(20, 400))))
    return made


class Row(NamedTuple):
    """In per cent: the mean absolute error of the rule of thumb and of the learned ratio; then how many estimates
    were too small by the rule of thumb and by the band, the largest shortfall of the band, and its mean excess."""

    error_before: int
    error_after: int
    small_before: int
    small_after: int
    furthest_below: int
    excess: int


def accuracy(case: str, calls: int = 20) -> Row:
    """Guess 200 prompts by the rule of thumb, by the mean after `calls` answers, and by the band after them."""
    thumb, mean, band = TokenGauge(), TokenGauge(sigmas=0), TokenGauge()
    for prompt in prompts(case, calls):
        for gauge in (mean, band):
            gauge.learn("m", len(prompt.encode()), tokens_in(prompt))
    asked = [(len(prompt.encode()), tokens_in(prompt)) for prompt in prompts(case, 200, seed=2)]

    def off(gauge: TokenGauge) -> list[float]:
        return [100 * (gauge.tokens("m", size) / real - 1) for size, real in asked]

    def small(gauge: TokenGauge) -> float:
        return 100 * sum(one < 0 for one in off(gauge)) / len(asked)

    def error(gauge: TokenGauge) -> float:
        return sum(map(abs, off(gauge))) / len(asked)

    lowest, excess = max(0.0, -min(off(band))), sum(off(band)) / len(asked)
    return Row(*map(round, (error(thumb), error(mean), small(thumb), small(band), lowest, excess)))
