from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("declarations", "0006_indexes_of_search_and_sweeps")]

    operations = [
        migrations.AddField(
            model_name="upload",
            name="total",
            field=models.PositiveIntegerField(default=0, verbose_name="文件数"),
        ),
        migrations.AddField(
            model_name="upload",
            name="processed",
            field=models.PositiveIntegerField(default=0, verbose_name="已处理"),
        ),
        migrations.AddField(
            model_name="upload",
            name="lodged",
            field=models.PositiveIntegerField(default=0, verbose_name="已受理"),
        ),
    ]
