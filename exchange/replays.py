"""What a replay sends again: from a time or a position on, to a time or a position at most."""

from __future__ import annotations

from datetime import datetime

from common.asked import FIRST, LAST
from common.problems import Fault, invalid
from common.text import T
from exchange import endpoints


def between(
    *,
    after: int | None = None,
    before: int | None = None,
    from_time: datetime | None = None,
    to_time: datetime | None = None,
) -> tuple[int, int | None]:
    """The positions after and before which lies what is asked for. A time counts as that of recording, and ``to_time`` is
    excluded. Raises Problem 422 with every fault."""
    faults = [
        Fault(f"/{name}", "time", T("时间超出范围", "The time is out of range"))
        for name, moment in (("from_time", from_time), ("to_time", to_time))
        if moment is not None and not FIRST <= moment.date() <= LAST
    ]
    if (from_time is None) == (after is None):
        wrong = T("请填时间或位置之一", "Give either the time or the position")
        faults.append(Fault("/from_time" if after is None else "/after", "from", wrong))
    if to_time is not None and before is not None:
        faults.append(Fault("/before", "to", T("时间与位置只填一项", "Give the time or the position, not both")))
    if faults:
        raise invalid(faults)
    first = endpoints.position_after(from_time) if from_time is not None else after or 0
    last = endpoints.position_before(to_time) if to_time is not None else before
    if last is not None and last <= first:
        wrong = T("止须晚于起", "The end must lie after the beginning")
        raise invalid([Fault("/to_time" if to_time is not None else "/before", "period", wrong)])
    return first, last
