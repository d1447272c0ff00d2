"""The day of declaration is that of the first lodgement; uploads that break are given up. What the log knows of both days is
read in 0008: here it would keep everybody from the table while it reads."""

from django.db import migrations, models
from django.db.models import deletion


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
