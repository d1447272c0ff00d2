"""Of one code only the rules that are switched on exclude each other: a revision waits beside the rule it revises."""

import django.contrib.postgres.constraints
import django.contrib.postgres.fields.ranges
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("clearance", "0004_covered_indexes")]

    operations = [
        migrations.RemoveConstraint(model_name="riskrule", name="risk_rule_once"),
        migrations.AddConstraint(
            model_name="riskrule",
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(
                condition=models.Q(("active", True)),
                expressions=[
                    ("code", django.contrib.postgres.fields.ranges.RangeOperators.EQUAL),
                    ("valid", django.contrib.postgres.fields.ranges.RangeOperators.OVERLAPS),
                ],
                name="risk_rule_once",
            ),
        ),
    ]
