"""Transfers of title through the command (signed by the organisations themselves), in turns with the same rows written
by SQL statements prepared once. Run by :mod:`benchmarks.bills` on a database of its own."""

from __future__ import annotations

import json
import statistics
import time
from typing import Any

import django

django.setup()

from django.db import connection, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from bills import acts, examples, issuing, keys, signing  # noqa: E402
from bills.models import Bill  # noqa: E402
from parties.models import Organisation  # noqa: E402
from parties.principals import Principal  # noqa: E402
from parties.registration import register_organisation  # noqa: E402

ROUNDS, EACH = 9, 80


def principal(organisation: Organisation) -> Principal:
    return Principal(actor="client:bench", organisation_id=organisation.pk, roles=frozenset(organisation.roles))


def bearer_bill(operator: Organisation, holder: Organisation) -> Bill:
    content = examples.content(negotiability="bearer")
    content["parties"]["consignor"]["organisation"] = holder.pk
    bill = issuing.draft(principal=principal(operator), content=content)
    issuing.issue(number=bill.number, principal=principal(operator))
    bill.refresh_from_db()
    return bill


_PREPARE = """
PREPARE lock_bill(text) AS SELECT * FROM bills_bill WHERE number = $1 FOR UPDATE;
PREPARE update_bill(bigint, text, bigint, text, int, text, timestamptz) AS
 UPDATE bills_bill SET holder_key = $2, holder_id = $3, holder_name = $4, acts = $5, head = $6, updated_at = $7 WHERE id = $1;
PREPARE insert_act(bigint, int, bigint, bigint, timestamptz, text, text) AS
 INSERT INTO bills_act (bill_id, sequence, version, code, actor_id, recipient_id, acted_at, recorded_at, checksum, token)
 VALUES ($1, $2, 1, 'TRANSFER', $3, $4, $5, $5, $6, $7);
PREPARE involve(bigint, bigint) AS
 INSERT INTO bills_involvement (bill_id, organisation_id, role) VALUES ($1, $2, 'holder') ON CONFLICT DO NOTHING;
PREPARE append(text, bigint[], jsonb, timestamptz) AS
 SELECT o_id FROM events_append('bill.transferred', 'bill', $1, 'client:bench', $2, $3, $4);
"""


def main() -> None:
    operator = register_organisation(name="Operator", roles=["multimodal_operator"])
    firms = [register_organisation(name=f"Firm {n}", roles=["trading_firm"]) for n in range(2)]
    privates: dict[int, Any] = {}
    for organisation in (operator, *firms):
        keys.ensure_key(organisation)
    ours, theirs = bearer_bill(operator, firms[0]), bearer_bill(operator, firms[0])
    for firm in firms:
        privates[firm.pk] = signing.generate()
        keys.register_key(principal=principal(firm), jwk=signing.public_part(privates[firm.pk]), replace=True)
    with connection.cursor() as cursor:
        cursor.execute(_PREPARE)
    token, holder, step = "x" * 1100, 0, 0
    ratios: list[float] = []
    cpu: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        spent, plain, busy, plainly = 0.0, 0.0, 0.0, 0.0
        # In turns, call by call: what else the machine does strikes both alike.
        for _ in range(EACH):
            request = {"number": ours.number, "code": "TRANSFER", "principal": principal(firms[holder]),
                       "recipient": firms[1 - holder].pk}  # fmt: skip
            signed = signing.sign(acts.to_sign(**request), privates[firms[holder].pk])
            started, worked = time.perf_counter(), time.process_time()
            acts.act(**request, signed=signed)
            spent += time.perf_counter() - started
            busy += time.process_time() - worked
            holder = 1 - holder
            step += 1
            started, worked = time.perf_counter(), time.process_time()
            with transaction.atomic(), connection.cursor() as cursor:
                now, to = timezone.now(), firms[step % 2]
                cursor.execute("EXECUTE lock_bill(%s)", [theirs.number])
                cursor.fetchone()
                cursor.execute("EXECUTE update_bill(%s, %s, %s, %s, %s, %s, %s)",
                               [theirs.pk, f"holder{step % 2}", to.pk, to.name, step + 1, f"{step:064d}", now])  # fmt: skip
                cursor.execute("EXECUTE insert_act(%s, %s, %s, %s, %s, %s, %s)",
                               [theirs.pk, step + 1, firms[0].pk, to.pk, now, f"{step:064d}", token])  # fmt: skip
                cursor.execute("EXECUTE involve(%s, %s)", [theirs.pk, to.pk])
                cursor.execute("EXECUTE append(%s, %s, %s, %s)",
                               [theirs.number, [operator.pk, *(firm.pk for firm in firms)],
                                json.dumps({"act": "TRANSFER", "act_sequence": step, "state": "issued"}), now])  # fmt: skip
            plain += time.perf_counter() - started
            plainly += time.process_time() - worked
        cpu.append((busy / EACH * 1000, plainly / EACH * 1000))
        ratios.append(plain / spent)
        print(f"transfer {spent / EACH * 1000:.2f} ms, same rows by SQL {plain / EACH * 1000:.2f} ms", flush=True)
    ours_ms, theirs_ms = (statistics.median(one) for one in zip(*cpu, strict=True))
    print(
        json.dumps(
            {
                "title_transfer_vs_sql": statistics.median(ratios),
                "title_transfer_cpu_ms": ours_ms,
                "title_transfer_sql_cpu_ms": theirs_ms,
            }
        )
    )


if __name__ == "__main__":
    main()
