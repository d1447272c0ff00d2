"""The day of declaration is that of the first lodgement; uploads that break are given up."""

from django.db import migrations, models
from django.db.models import deletion

#: Until now an amendment moved the day of declaration; the log knows the first.
FIRST = """
UPDATE declarations_declaration d
SET lodged_at = said.first_lodged, amended_at = said.last_amended
FROM (
  SELECT subject_number, min(occurred_at) FILTER (WHERE type = 'declaration.lodged') AS first_lodged,
    max(occurred_at) FILTER (WHERE type = 'declaration.amended') AS last_amended
  FROM events_event
  WHERE subject_kind = 'declaration' AND type IN ('declaration.lodged', 'declaration.amended')
  GROUP BY subject_number
) said
WHERE said.subject_number = d.unified_number AND said.first_lodged IS NOT NULL AND said.last_amended IS NOT NULL
"""


class Migration(migrations.Migration):
    dependencies = [("declarations", "0004_under_way"), ("events", "0002_append_and_publish")]

    operations = [
        migrations.AddField(
            model_name="declaration",
            name="amended_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="最近修改时间"),
        ),
        migrations.AddField(
            model_name="upload",
            name="attempts",
            field=models.PositiveSmallIntegerField(default=0, verbose_name="中断次数"),
        ),
        migrations.RunSQL(FIRST, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="upload",
            name="organisation",
            field=models.ForeignKey(
                db_index=False,
                on_delete=deletion.CASCADE,
                to="parties.organisation",
                verbose_name="单位",
            ),
        ),
    ]
