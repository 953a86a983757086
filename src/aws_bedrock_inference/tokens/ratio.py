"""Learn the number of tokens per byte of text for each model, from the usage that the service reports."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.forks import Locked

# The ratio before any observation: four bytes of text per token. This is a rough rule for English. Code and other
# scripts differ by half or more.
PRIOR = 0.25

# The initial ratio has the weight of one answer with this many bytes of text. One short unusual answer therefore does
# not outweigh it, but two or three normal answers do.
PRIOR_BYTES = 256

# A longer prompt has more weight, up to this number of bytes. One huge prompt then does not outweigh later small ones.
FULL_BYTES = 4096

# Each answer reduces the weight of earlier answers by 3 %, so about the last 30 answers decide. A change of language or
# task takes effect within tens of calls.
MEMORY = 0.97

# The estimate's distance above the mean, in standard deviations. 2.3 % of normally distributed ratios exceed the
# estimate; for any other distribution at most a fifth do (Cantelli's inequality).
SIGMAS = 2.0


class Ratio(NamedTuple):
    """The number of tokens per byte of text on one model. Each answer that reports its input tokens yields one observed
    value.

    * `mean`: the weighted mean of the observed values and of the default (one token for four bytes).
    * `sigma`: the weighted standard deviation of the observed values.
    * `answers`: the number of the observed values.
    """

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
    """Learns the number of tokens per byte for each model. Its estimates are usually a little too high, so that a
    reservation is rarely too small. Threads can share a `TokenGauge`.

    * `sigmas`, default 2: an estimate is the mean of the observed ratios plus `sigmas` times their standard deviation.
      Newer requests have more weight than older ones. Longer requests have more weight than shorter ones, but all
      requests with 4 KB of text or more have the same weight.
    * `models`, default 256: the maximum number of models. When it is exceeded, the model that was added first is
      removed.

    Before the first observation, four bytes count as one token. Raises `ValueError` for invalid options.
    """

    def __init__(self, *, sigmas: float = SIGMAS, models: int = 256) -> None:
        if not is_number(sigmas, least=0):
            raise ValueError(f"TokenGauge(sigmas={shown(sigmas)}): pass a number of standard deviations, 0 or more")
        if not is_number(models, least=1, whole=True):
            raise ValueError(f"TokenGauge(models={shown(models)}): pass the maximum number of models, 1 or more")
        self._sigmas = sigmas
        self._models = models
        self._learnt: dict[str, _Learnt] = {}
        super().__init__()

    def tokens(self, model: str, text_bytes: int) -> int:
        """Return the estimated number of tokens in `text_bytes` bytes of text on `model`. The estimate is usually a
        little too high.
        """
        learnt = self._learnt.get(model)
        return int(text_bytes * (PRIOR if learnt is None else learnt.upper)) + 1

    def learn(self, model: str, text_bytes: int, tokens: int) -> None:
        """Record that `text_bytes` bytes of text had `tokens` tokens on `model`. If either number is 0, nothing is
        recorded.
        """
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
        """Return the observed tokens per byte of text on `model`. Before the first answer of this model, the result is
        the default: one token for four bytes, with 0 observed values.
        """
        with self._lock:
            learnt = self._learnt.get(model) or _Learnt()
            return Ratio(learnt.mean, sqrt(learnt.spread / learnt.weight), learnt.answers)

    def _begin(self, model: str) -> _Learnt:
        if len(self._learnt) >= self._models:
            del self._learnt[next(iter(self._learnt))]
        learnt = self._learnt[model] = _Learnt()
        return learnt
