"""The number of tokens per byte of text, learnt for each model from the reported usage."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.forks import Locked

# Before anything is known: four bytes of text to a token. A rough rule for English; code and other scripts differ by
# half and more.
PRIOR = 0.25

# The rule counts as one answer with this many bytes of text, so that one odd answer does not overturn it and two or
# three ordinary ones do.
PRIOR_BYTES = 256

# Longer text teaches more, up to here: one huge prompt does not drown the small ones that follow.
FULL_BYTES = 4096

# Each answer makes the earlier ones count for 3 % less: about the last 30 decide, so that a change of language or of
# task shows within tens of calls.
MEMORY = 0.97

# The estimate's distance above the mean, in standard deviations: of normally distributed ratios 2.3 % lie above it,
# of any distribution at all at most a fifth (Cantelli's inequality).
SIGMAS = 2.0


class Ratio(NamedTuple):
    """Tokens for each byte of text: the weighted `mean` of the answers so far and their standard deviation `sigma`."""

    mean: float
    sigma: float
    answers: int


class _Learnt:
    __slots__ = ("answers", "mean", "spread", "upper", "weight")

    def __init__(self) -> None:
        self.answers = 0
        self.mean = PRIOR
        self.weight = float(PRIOR_BYTES)
        self.spread = 0.0
        self.upper = PRIOR


class TokenGauge(Locked):
    """Learns each model's ratio of tokens to bytes, and guesses high enough that reservations are rarely too small.

    A guess is mean + `sigmas` x standard deviation of what came back, both weighted by bytes and by age; until
    something has come back, a token for four bytes. `models` bounds how many are kept; the one first seen goes first.
    Safe to share between threads.
    """

    def __init__(self, *, sigmas: float = SIGMAS, models: int = 256) -> None:
        if not is_number(sigmas, least=0):
            raise ValueError(f"TokenGauge(sigmas={shown(sigmas)}): give 0 for the mean itself, or a number above it")
        if not is_number(models, least=1, whole=True):
            raise ValueError(f"TokenGauge(models={shown(models)}): give 1 or more")
        self._sigmas = sigmas
        self._models = models
        self._learnt: dict[str, _Learnt] = {}
        super().__init__()

    def tokens(self, model: str, text_bytes: int) -> int:
        """Return how many tokens `text_bytes` of text may make on `model`, on the high side."""
        learnt = self._learnt.get(model)
        return int(text_bytes * (PRIOR if learnt is None else learnt.upper)) + 1

    def learn(self, model: str, text_bytes: int, tokens: int) -> None:
        """Take in that `text_bytes` of text made `tokens` tokens on `model`; without either, nothing is learnt."""
        if text_bytes <= 0 or tokens <= 0:
            return
        ratio = tokens / text_bytes
        heft = text_bytes if text_bytes < FULL_BYTES else FULL_BYTES
        with self._lock:
            learnt = self._learnt.get(model) or self._begin(model)
            weight = learnt.weight = learnt.weight * MEMORY + heft
            off = ratio - learnt.mean
            learnt.mean += off * heft / weight
            learnt.spread = learnt.spread * MEMORY + heft * off * (ratio - learnt.mean)
            learnt.answers += 1
            learnt.upper = learnt.mean + self._sigmas * sqrt(learnt.spread / weight)

    def ratio(self, model: str) -> Ratio:
        """Return what is known of `model`; `answers` is 0 while that is the rule of thumb."""
        with self._lock:
            learnt = self._learnt.get(model) or _Learnt()
            return Ratio(learnt.mean, sqrt(learnt.spread / learnt.weight), learnt.answers)

    def _begin(self, model: str) -> _Learnt:
        if len(self._learnt) >= self._models:
            del self._learnt[next(iter(self._learnt))]
        learnt = self._learnt[model] = _Learnt()
        return learnt
