import django.db.models.deletion
from django.db import migrations, models
from django.db.models import OuterRef, Q, Subquery


def _name_the_declaration(apps, schema_editor):
    """Until now every draw was a memo's."""
    memos = apps.get_model("tariffs", "DutyMemo").objects.filter(pk=OuterRef("memo_id"))
    apps.get_model("tariffs", "GuaranteeDraw").objects.update(subject=Subquery(memos.values("subject")[:1]))


class Migration(migrations.Migration):
    dependencies = [
        ("tariffs", "0005_money_of_a_memo"),
    ]

    operations = [
        migrations.AddField(
            model_name="guaranteedraw",
            name="subject",
            field=models.CharField(db_index=True, default="", max_length=40, verbose_name="报关单号"),
            preserve_default=False,
        ),
        migrations.AlterField(
            model_name="guaranteedraw",
            name="memo",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                to="tariffs.dutymemo",
                verbose_name="税单",
            ),
        ),
        migrations.AddConstraint(
            model_name="guaranteedraw",
            constraint=models.UniqueConstraint(
                condition=Q(("memo", None), ("restored_at", None)),
                fields=("subject",),
                name="tariffs_one_draw_for_goods",
            ),
        ),
        migrations.RunPython(_name_the_declaration, migrations.RunPython.noop),
    ]
