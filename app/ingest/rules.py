"""How long uploads wait and how often they are tried: pure decisions."""

from datetime import datetime, timedelta

MOST_ATTEMPTS = 3
"""A photo whose preparation killed the worker so often is refused, and the worker goes on."""

KEPT_AFTER_REFUSAL = timedelta(days=7)
"""How long the file of a refused photo is kept sealed behind "Try again": our decoder may be at fault."""

KEPT_WHILE_ARRIVING = timedelta(hours=24)
"""How long a file that arrives in parts waits for its next bytes, and how long we tell afterwards which photo it has become."""

KEPT_WHILE_ANNOUNCED = timedelta(hours=1)
"""How long room is kept for a file of which nothing has come: the answer to its beginning may have been lost, and it was begun again."""

ALIVE_FOR = timedelta(seconds=30)
"""Whoever puts a file together says so again before a third of this has passed; who has not for all of it is taken for dead."""

MOST_UNSEEN = 500
"""Photos of one guest that are prepared, wait for a member's yes or could not be used: a member has to look at each."""

NOT_WORTH_KEEPING = frozenset({"empty", "too-large", "not-a-picture", "film-unsupported", "unsupported"})
"""What trying again can't mend: such a file is destroyed at once."""


def keep_until(reason: str, at: datetime) -> datetime | None:
    """Until when the file of a photo refused for this reason is kept, None for not at all."""
    return None if reason in NOT_WORTH_KEEPING else at + KEPT_AFTER_REFUSAL


def should_say_so(said: datetime, at: datetime) -> bool:
    """Whether somebody who was last heard of at `said` has to say again that they are alive."""
    return at - said >= ALIVE_FOR / 3


def out_of_attempts(attempts: int) -> bool:
    """Whether a photo that has been taken so often is given up."""
    return attempts >= MOST_ATTEMPTS
