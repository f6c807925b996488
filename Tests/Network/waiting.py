"""Waiting for something to become true: by polling, bounded, and with a reason when it does not."""
import time


class TookTooLong(AssertionError):
    """What was awaited did not happen in time; the message says what was seen instead."""


def until(what, probe, limit, every=0.1, detail=None):
    """Call `probe` until it returns something true, and return that.

    `detail()` is asked for more text, such as the ends of logs, when time runs out."""
    start = time.monotonic()
    while True:
        seen = probe()
        if seen:
            return seen
        if time.monotonic() - start > limit:
            more = "\n" + detail() if detail else ""
            raise TookTooLong(f"waited {limit:g} s for: {what}; last seen: {seen!r}{more}")
        time.sleep(every)
