"""Whether a corridor agrees with itself: worked out from the logs, without the product's help, and compared with what stands at
every member; and the tally."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import psycopg2

from exchange.terms import is_draft

if TYPE_CHECKING:
    from tests.faults.corridor import Acknowledged, Member
    from tests.faults.proxy import FaultProxy

SECRET = "MARKED-SECRET"
Key = tuple[str, str, int]


class Agreement:
    """What a corridor is asked when its troubles are over."""

    codes: tuple[str, ...]
    size: int
    seed: int
    members: dict[str, Member]
    databases: dict[str, str]
    acknowledged: dict[str, list[Acknowledged]]
    tally: Counter[str]
    commands: dict[str, Counter[str]]
    refusals: list[str]
    seconds: dict[str, float]
    proxy: FaultProxy
    logs: dict[str, list[tuple]]

    def expected(self, source: str, target: str) -> dict[Key, Any]:
        """What ``target`` may know of the log of ``source``: worked out here, from the log, without the product's help."""
        terms = self.terms(source, target)
        return {
            (kind, number, sequence): {
                name: value
                for name in terms["fields"]["*"]
                if name in data and not isinstance(value := data[name], (dict, list))
            }
            for kind, number, sequence, event_type, data in self.logs[source]
            if kind in terms["kinds"]
            and not is_draft(event_type, data)
            and any(event_type.startswith(one[:-1]) for one in terms["types"])
        }

    def _read_logs(self) -> None:
        self.logs = {
            code: self._sql(
                self.databases[code], "SELECT subject_kind, subject_number, sequence, type, data FROM events_event"
            )
            for code in self.codes
        }

    def _held(self, code: str) -> Counter[Acknowledged]:
        """How often the log of a member says each fact."""
        return Counter(
            (kind, number, event_type, data.get("n")) for kind, number, _, event_type, data in self.logs[code]
        )

    def lost(self) -> list[str]:
        """Acknowledged facts that their own log does not have."""
        return [
            f"{code}: {fact}"
            for code in self.codes
            for fact in (Counter(self.acknowledged[code]) - self._held(code)).elements()
        ]

    def doubled(self) -> list[str]:
        """Facts that their own log says more than once, acknowledged or not."""
        return [
            f"{code}: {fact}"
            for code in self.codes
            for acknowledged in [set(self.acknowledged[code])]
            for fact, times in self._held(code).items()
            if times > 1 and (fact in acknowledged or fact[3] is not None)
        ]

    def differences(self) -> list[str]:
        """What is not yet (or should not be) where it is; empty when all agree."""
        found = []
        self._read_logs()
        for target in self.codes:
            rows = self._sql(
                self.databases[target],
                "SELECT p.code, e.subject_kind, e.subject_number, e.sequence, e.data FROM exchange_mirrorevent e"
                " JOIN exchange_partner p ON p.id = e.partner_id",
            )
            records = {
                (code, kind, number): data
                for code, kind, number, data in self._sql(
                    self.databases[target],
                    "SELECT p.code, m.subject_kind, m.subject_number, m.data FROM exchange_mirror m"
                    " JOIN exchange_partner p ON p.id = m.partner_id",
                )
            }
            broken = self._sql(
                self.databases[target],
                "SELECT p.code, m.subject_number FROM exchange_mirror m JOIN exchange_partner p"
                " ON p.id = m.partner_id WHERE m.missing > 0 OR m.count <> (SELECT count(*)"
                " FROM exchange_mirrorevent e WHERE e.partner_id = m.partner_id AND e.subject_kind = m.subject_kind"
                " AND e.subject_number = m.subject_number)",
            )
            held: dict[str, dict[Key, Any]] = {}
            for code, kind, number, sequence, data in rows:
                held.setdefault(code, {})[kind, number, sequence] = data
            for source in self.codes:
                if source != target:
                    wanted, got = self.expected(source, target), held.get(source, {})
                    folded: dict[tuple[str, str, str], dict[str, Any]] = {}
                    for (kind, number, _), data in sorted(wanted.items()):
                        folded.setdefault((source, kind, number), {}).update(data)
                    if any(records.get(key) != data for key, data in folded.items()):
                        found.append(f"{source} -> {target}: a record is not what its events come to")
                    if wanted != got:
                        wrong = sum(1 for key in wanted.keys() & got.keys() if wanted[key] != got[key])
                        found.append(
                            f"{source} -> {target}: {len(wanted.keys() - got.keys())} missing,"
                            f" {len(got.keys() - wanted.keys())} too many, {wrong} wrong"
                        )
            found += [f"{target}: {code}/{number} is not whole" for code, number in broken]
        return found

    def summaries(self, table: str) -> dict[tuple[str, str], set[tuple]]:
        """(where it stands, partner) -> what is summed up there of every subject."""
        found: dict[tuple[str, str], set[tuple]] = defaultdict(set)
        for code in self.codes:
            for partner, *summary in self._sql(
                self.databases[code],
                "SELECT p.code, subject_kind, day, subject_number, count, sequence, last_id"
                f" FROM {table} s JOIN exchange_partner p ON p.id = s.partner_id",
            ):
                found[code, partner].add(tuple(summary))
        return found

    def digests_agree(self) -> bool:
        given, received = self.summaries("exchange_sharedsubject"), self.summaries("exchange_mirror")
        return given == {(source, target): held for (target, source), held in received.items()}

    def leaks(self) -> list[str]:
        """Places that hold what was never to leave."""
        found = []
        for code in self.codes:
            for table in ("mirror", "mirrorevent", "payload", "inboxmessage", "share", "sharedsubject"):
                text = "convert_from(body, 'UTF8')" if table == "inboxmessage" else f"{table}::text"
                query = f"SELECT count(*) FROM exchange_{table} {table} WHERE {text} LIKE %s"
                if self._sql(self.databases[code], query, [f"%{SECRET}%"])[0][0]:
                    found.append(f"{code}: {table}")
        return found

    def wait_for_agreement(self, *, idle: float = 90.0, most: float = 900.0) -> float | None:
        """Seconds until everything is where it should be. A slow machine gets the time it needs as long as things move: None after
        ``idle`` seconds without any change, or ``most`` in all, and it has told how everybody stands."""
        started = moved = time.monotonic()
        before: list[str] = []
        while (now := time.monotonic()) - moved < idle and now - started < most:
            try:
                found = self.differences()
                if not found and self.digests_agree():
                    return round(time.monotonic() - started, 1)
            except psycopg2.Error as error:
                found = [str(error)]
            if found != before:
                before, moved = found, now
                self._tell(f"{len(found)} differences, {found[0] if found else 'digests'}")
            time.sleep(0.5)
        told = "\n".join([*before[:20], *self.standing()])
        self._tell(f"seed {self.seed}: no agreement after {now - started:.0f} s\n{told}")
        return None

    def standing(self) -> list[str]:
        """How every member stands with every other, for whoever must find out why they do not agree."""
        told = []
        for code, member in self.members.items():
            dead = [name for name, process in member.processes.items() if process.poll() is not None]
            log = self._sql(
                self.databases[code],
                "SELECT count(*), count(*) - count(position), max(position),"
                " (SELECT position FROM events_reader WHERE name = 'exchange') FROM events_event",
            )
            told.append(f"{code}: events, unpublished, last position, handed out to: {log[0]}; not running: {dead}")
            told += [
                f"  to {row}"
                for row in self._sql(
                    self.databases[code],
                    "SELECT p.code, e.state, e.failures, (e.spared_until - now())::text, d.state, count(d.*),"
                    " count(d.ready_at), (min(d.ready_at) - now())::text, max(d.tries), max(d.last_error)"
                    " FROM exchange_endpoint e JOIN exchange_partner p ON p.id = e.partner_id"
                    " LEFT JOIN exchange_delivery d ON d.endpoint_id = e.id AND d.state <> 'delivered'"
                    " GROUP BY 1, 2, 3, 4, 5 ORDER BY 1",
                )
            ]
            told += [
                f"  from {row}"
                for row in self._sql(
                    self.databases[code],
                    "SELECT p.code, (now() - missing_since)::text, (now() - last_pulled_at)::text, last_error,"
                    " (SELECT now() - max(started_at) FROM exchange_digestreport r WHERE r.partner_id = p.id"
                    " AND made_by = 'own')::text FROM exchange_partner p ORDER BY 1",
                )
            ]
        return told

    def result(self, to_agreement: float | None) -> dict[str, Any]:
        """The tally; ``to_agreement`` is None where they did not come to one."""

        def total(query: str) -> int:
            return sum(int(self._sql(self.databases[code], query)[0][0] or 0) for code in self.codes)

        self._read_logs()
        return {
            "seed": self.seed,
            "instances": self.size,
            "facts": sum(map(len, self.acknowledged.values())),
            "commands": {kind: dict(answered) for kind, answered in self.commands.items()},
            "events": sum(map(len, self.logs.values())),
            "shared": total("SELECT count(*) FROM exchange_mirrorevent"),
            "tally": dict(sorted((self.tally + self.proxy.tally).items())),
            "tries": total("SELECT count(*) FROM exchange_attempt"),
            "refused": total("SELECT sum(count) FROM exchange_refusal"),
            "duplicates_refused": self.proxy.answers["duplicate"],
            # None is left where they agree.
            "gaps_repaired": self.proxy.answers["gap"],
            "subjects_repaired": total("SELECT sum(repaired) FROM exchange_digestreport WHERE made_by = 'own'"),
            "seconds_to_agreement": to_agreement,
            "seconds": self.seconds,
            "refused_without_cause": self.refusals[:3],
            "lost": self.lost(),
            "doubled": self.doubled(),
            "leaks": self.leaks(),
        }


#: Of the commands of a kind at least this share is acknowledged, and of those answered at most this share fails, however much is
#: killed and stopped (two thirds, and one in thirteen, on a busy machine): else it is a fault of what they ask.
ACKNOWLEDGED, FAILED = 1 / 4, 1 / 3


def wrong(tally: dict[str, Any]) -> list[str]:
    """What must not be in a tally: no agreement, a fact lost, doubled, refused or leaked, commands that mostly are not done, no
    gap that could have been noticed."""
    found = [name for name in ("lost", "doubled", "leaks", "refused_without_cause") if tally[name]]
    found += [name for name in ("gaps_repaired", "subjects_repaired", "duplicates_refused") if not tally[name]]
    for kind, commands in tally["commands"].items():
        done, failed = commands.get("acknowledged", 0), commands.get("failed", 0)
        asked = sum(commands.values())
        if not done or done < ACKNOWLEDGED * asked:
            found.append(f"{kind}: {done} of {asked} commands acknowledged")
        elif failed > FAILED * (done + failed):
            found.append(f"{kind}: {failed} of {done + failed} commands failed")
    return found + (["no agreement"] if tally["seconds_to_agreement"] is None else [])
