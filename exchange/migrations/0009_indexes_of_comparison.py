from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("exchange", "0008_mirror_before_message")]

    operations = [
        AddIndexConcurrently(
            model_name="mirror",
            index=models.Index(fields=["partner", "subject_kind", "day", "bucket"], name="mirror_filed"),
        ),
        AddIndexConcurrently(
            model_name="sharedsubject",
            index=models.Index(fields=["partner", "subject_kind", "day", "bucket"], name="shared_subject_filed"),
        ),
    ]
