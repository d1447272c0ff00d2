from celery import shared_task

from common import idempotency
from singlewindow import relay


@shared_task(name="singlewindow.relay")
def relay_events() -> None:
    relay.run()


@shared_task(name="singlewindow.housekeeping")
def housekeeping() -> None:
    idempotency.forget_old()
