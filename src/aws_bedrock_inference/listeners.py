"""The listeners of events: those of one client, and those of the whole process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakSet

from aws_bedrock_inference.dialects.tier import DEFAULT, tier_of
from aws_bedrock_inference.dialects.usage import reason_of
from aws_bedrock_inference.events import AttemptEnded, AttemptStarted, CallEnded, CallStarted
from aws_bedrock_inference.forks import Locked

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Call, Outcome

_log = logging.getLogger(__name__)

_WATCHED = frozenset({CallStarted, AttemptStarted, AttemptEnded})

Listener = Callable[[object], None]


class Listeners(Locked):
    """The listeners of one client, or of the whole process.

    * `always`: listeners that are called first. They receive no events about starts and attempts.
    * `beyond`: other `Listeners`, to which all events are passed on. For example, a client passes all events on to the
      listeners of the process.
    * `heard`: True if a listener wants the end of successful calls. Otherwise this event is not created.
    * `watched`: True if a listener also wants the start and the attempts of calls. Otherwise these events are not
      created.

    `heard` and `watched` are computed only when listeners change, because every call reads them.
    """

    def __init__(self, *always: Listener, beyond: Listeners | None = None) -> None:
        super().__init__()
        self.heard = self.watched = False
        self._always = always
        self._added: tuple[Listener, ...] = ()
        self._watching: tuple[Listener, ...] = ()
        self._within: WeakSet[Listeners] = WeakSet()
        self._beyond = beyond
        if beyond is not None:
            beyond.reach(self)

    def add(self, listener: Listener, *, attempts: bool = False) -> Callable[[], None]:
        """From now on, call `listener` for every event except `CallStarted`, `AttemptStarted` and `AttemptEnded`. If
        `attempts` is True, `listener` is called for these three, too. The returned function removes the listener.
        """

        def stop() -> None:
            with self._lock:
                self._added = tuple(known for known in self._added if known is not listener)
                self._watching = tuple(known for known in self._watching if known is not listener)
            self.refresh()

        with self._lock:
            if attempts:
                self._watching = (*self._watching, listener)
            else:
                self._added = (*self._added, listener)
        self.refresh()
        return stop

    def reach(self, within: Listeners) -> None:
        """Register `within`, such as the listeners of a client. `within` passes all its events on to this object.

        The values `within.heard` and `within.watched` therefore depend on the listeners of this object. They are
        computed now, and again after each change of these listeners.
        """
        with self._lock:
            self._within.add(within)
        within.refresh()

    def refresh(self) -> None:
        """Compute `heard` and `watched` again, after listeners were added or removed."""
        with self._lock:
            beyond = self._beyond
            self.watched = bool(self._watching) or (beyond is not None and beyond.watched)
            self.heard = bool(self._added) or self.watched or (beyond is not None and beyond.heard)
            within = list(self._within)
        for each in within:
            each.refresh()

    def call_ended(self, call: Call, outcome: Outcome, now: float) -> None:
        """Emit the end of `call`."""
        value, usage = outcome.value, outcome.usage
        self.notify(
            CallEnded(
                call.operation,
                outcome.made.route or call.route,
                outcome.fault,
                usage,
                outcome.attempts,
                now - call.arrived,
                call.tenant,
                DEFAULT if usage is None else tier_of(call.params, value),  # other values may come from the user
                "" if usage is None else reason_of(value),
                call.call_id,
                call.context,
            )
        )

    def notify(self, event: object) -> None:
        """Pass `event` to all listeners that receive this kind of event."""
        for listener in self._watching if type(event) in _WATCHED else (*self._always, *self._added, *self._watching):
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - an exception in a listener must not end the call
                with suppress(Exception):  # a logging handler of the program may fail, too
                    _log.exception("listener %s failed on %s", _name(listener), type(event).__name__)
        if self._beyond is not None:
            self._beyond.notify(event)


def _name(listener: Listener) -> str:
    """Return the name of a listener for the log. The listener's repr is not used, because it can contain secrets. For
    example, the repr of a `functools.partial` contains the partial's arguments.
    """
    name: str = getattr(listener, "__qualname__", type(listener).__qualname__)
    return name


PROCESS = Listeners()
"""The listeners of the process: they receive the events of every client, wrapper and run."""
