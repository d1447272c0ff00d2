from celery import shared_task

from tariffs import loads


@shared_task(name="tariffs.tasks.bulk_load")
def bulk_load() -> None:
    loads.run_queued()
