from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("declarations", "0003_complete_two_step")]

    operations = [
        AddIndexConcurrently(
            model_name="declaration",
            index=models.Index(
                condition=models.Q(("state__in", ["accepted", "held", "under_inspection", "released"])),
                fields=["state", "state_since", "id"],
                name="declaration_under_way",
            ),
        ),
    ]
