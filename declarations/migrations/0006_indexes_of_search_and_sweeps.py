from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("declarations", "0005_first_lodgement_stays")]

    operations = [
        AddIndexConcurrently(
            model_name="declaration",
            index=models.Index(
                condition=models.Q(("state", "lodged")), fields=["state_since"], name="declaration_waits_for_checks"
            ),
        ),
        AddIndexConcurrently(
            model_name="declaration",
            index=models.Index(
                condition=models.Q(("client_reference__isnull", False)),
                fields=["client_reference"],
                name="declaration_by_reference",
            ),
        ),
        RemoveIndexConcurrently(model_name="declaration", name="declaration_awaiting_checks"),
        AddIndexConcurrently(
            model_name="upload",
            index=models.Index(fields=["organisation", "-created_at", "-id"], name="upload_by_organisation"),
        ),
    ]
