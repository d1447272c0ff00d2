"""Who reacts to what: the one table from event type (wildcards allowed) to the tasks that look at it, and the sweeps
that find what no hint reached. Tasks ask the database what is to be done; a doubled or lost hint changes nothing."""

REACTIONS: dict[str, list[str]] = {
    "declaration.lodged": ["declarations.tasks.check"],
    "declaration.amended": ["declarations.tasks.check"],
    "declaration.accepted": ["clearance.duty_tasks.go_on"],
    "declaration.withdrawn": ["clearance.duty_tasks.fall_away"],
    "declaration.rejected": ["clearance.duty_tasks.fall_away"],
    "duty.*": ["clearance.duty_tasks.go_on"],
    "voyage.*": ["clearance.duty_tasks.after_arrival"],
    "tariff.changed": ["clearance.duty_tasks.again"],
    "declaration.released": ["bills.tasks.note_releases"],
    "bill.leaving": ["bills.tasks.send_departures"],
    "*": ["exchange.tasks.deliver"],
    "upload.received": ["declarations.tasks.bulk_uploads"],
}

#: task name -> seconds between sweeps. Started by Celery beat.
SWEEPS: dict[str, float] = {
    "singlewindow.relay": 1.0,
    "declarations.tasks.sweep_checks": 5.0,
    "clearance.duty_tasks.sweep": 30.0,
    "bills.tasks.send_departures": 5.0,
    "exchange.tasks.deliver": 1.0,
    "exchange.tasks.attend": 5.0,
    "exchange.tasks.housekeeping": 300.0,
    "tariffs.tasks.bulk_load": 60.0,
    "declarations.tasks.bulk_sweep_uploads": 15.0,
    "singlewindow.housekeeping": 3600.0,
}
