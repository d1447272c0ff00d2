"""Of one code only the rules that are switched on exclude each other: a revision waits beside the rule it revises. A limit
that is told in hours has its moment. Holds that name a declaration by its customs number stand on it from now on."""

import django.contrib.postgres.constraints
import django.contrib.postgres.fields.ranges
from django.db import migrations, models

HOLDS = """
UPDATE clearance_hold h SET reference = 'declaration:' || d.unified_number FROM declarations_declaration d
WHERE h.reference = 'declaration:' || d.customs_number AND h.reference ~ '^declaration:[0-9]{18}$'
"""


class Migration(migrations.Migration):
    dependencies = [("clearance", "0004_covered_indexes")]

    operations = [
        migrations.RunSQL(HOLDS, migrations.RunSQL.noop),
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
        migrations.AddField(
            model_name="deadline",
            name="due_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="截止时间"),
        ),
        migrations.AlterField(
            model_name="deadline",
            name="kind",
            field=models.CharField(
                choices=[
                    ("declare", "进境申报期限"),
                    ("export", "出口申报期限"),
                    ("full_declaration", "完整申报期限"),
                    ("abandonment", "超期未报"),
                ],
                max_length=20,
                verbose_name="类别",
            ),
        ),
    ]
