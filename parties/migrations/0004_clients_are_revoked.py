import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("parties", "0003_codes_of_one_party_agree")]

    operations = [
        migrations.AddField(
            model_name="apiclient",
            name="revoked_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="作废时间"),
        ),
        migrations.AlterField(
            model_name="apiclient",
            name="created_at",
            field=models.DateTimeField(default=django.utils.timezone.now, verbose_name="建立时间"),
        ),
    ]
