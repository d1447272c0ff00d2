"""Two means of transport of one carrier may travel under the same number: they are two trips."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("cargo", "0002_covered_indexes")]

    operations = [
        migrations.RemoveConstraint(model_name="voyage", name="voyage_once"),
        migrations.AddConstraint(
            model_name="voyage",
            constraint=models.UniqueConstraint(
                fields=("carrier", "mode", "direction", "number", "means"), name="voyage_once", nulls_distinct=False
            ),
        ),
    ]
