"""Read and write the answers of the policy `Cache` in its store. If the store fails, calls continue without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.background import BackgroundFull
from aws_bedrock_inference.caches.answer import read_answer
from aws_bedrock_inference.caches.store import open_answers
from aws_bedrock_inference.events import CacheStoreChanged
from aws_bedrock_inference.flow import ask, emit
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.stores.request import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from aws_bedrock_inference.caches.answer import Answer
    from aws_bedrock_inference.flow import Effect, StoreRequest

# After a failure the store is not used for one second. This pause doubles with each further failure, up to 30 seconds.
AGAIN_FIRST = 1.0
AGAIN_LONGEST = 30.0

# The seconds by which the clocks of machines can differ. If an answer was stored at a time that is further in the
# future, a clock is wrong.
SKEW = 60.0


class Kept:
    """The stored answers of one cache.

    * `url`: the URL of the store.
    * `lifetime`: the number of seconds for which an answer is stored.
    * `seal`: two functions. The first encrypts an answer, and the second decrypts it. With None, answers are stored
      unencrypted.
    """

    def __init__(
        self,
        url: Any,
        max_entries: int,
        lifetime: float,
        seal: tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]] | None,
    ) -> None:
        self.store = open_answers(url, max_entries)
        self.clock = self.store.clock
        self._lifetime = lifetime
        self._seal = seal
        self._seal_works = True
        self._failures = 0
        self._due = 0.0

    def age(self, answer: Answer) -> float:
        """Return the number of seconds since `answer` was received."""
        return max(0.0, self.clock() - answer.at)

    def find(self, key: str, now: float) -> Generator[Effect, Any, Answer | None]:
        """Return the answer with this key. Return None if it is missing or cannot be used, or if the store fails.

        An answer cannot be used if it is damaged, is too old, or cannot be decrypted. It cannot be used either if the
        time of its receipt is more than a minute in the future; this happens if the clocks of two machines differ.
        """
        content = yield from self._asked(self.store.get, (key,), now)
        if content is None:
            return None
        if self._seal is not None:
            content = self._opened(content)
        answer = None if content is None else read_answer(content, key)
        return answer if answer is not None and -SKEW <= self.clock() - answer.at <= self._lifetime else None

    def keep(self, key: str, answer: Answer, now: float) -> Generator[Effect, Any, None]:
        """Store `answer` with this key. If the encryption of the answer fails, store nothing."""
        content = answer.content if self._seal is None else self._sealed(answer.content)
        if content is not None:
            yield from self._asked(self.store.put, (key, content, self._lifetime), now)

    def _asked(self, request: Callable[..., StoreRequest[Any]], of: tuple[Any, ...], now: float) -> Any:
        if self._failures:
            if now < self._due:
                return None
            self._due = now + AGAIN_FIRST  # one call uses the store again; the other calls continue without it
        try:
            answered = yield from ask(request(*of))
        except Exception as error:  # noqa: BLE001 - a store must not fail a call, whatever it raises
            message = str(error) if isinstance(error, (StoreUnavailable, BackgroundFull)) else type(error).__name__
            self._failures += 1
            self._due = now + min(AGAIN_LONGEST, AGAIN_FIRST * 2.0 ** min(self._failures - 1, 32))
            if self._failures == 1:
                yield from emit(CacheStoreChanged(self.store.place, available=False, message=message))
            return None
        if self._failures:
            self._failures = 0
            yield from emit(CacheStoreChanged(self.store.place, available=True, message="the store answers again"))
        return answered

    def _sealed(self, content: bytes) -> bytes | None:
        assert self._seal is not None  # noqa: S101 - for the type checker
        try:
            sealed: object = self._seal[0](content)
        except Exception as error:  # noqa: BLE001 - the function is the user's
            problem = f"raised {type(error).__name__}"
        else:
            if isinstance(sealed, bytes):
                return sealed
            problem = f"returned a {type(sealed).__name__}"
        if self._seal_works:
            self._seal_works = False
            LOGGER.warning(
                "the cache stores no answers: the encrypt function in Cache(seal=(encrypt, decrypt)) %s. Correct this "
                "function; it must return bytes",
                problem,
            )
        return None

    def _opened(self, content: bytes) -> bytes | None:
        assert self._seal is not None  # noqa: S101 - for the type checker
        try:
            opened: object = self._seal[1](content)
        except Exception:  # noqa: BLE001 - with another key or damage, the call goes to the model
            return None
        return opened if isinstance(opened, bytes) else None
