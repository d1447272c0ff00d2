"""Names that the console shows. Nothing changes in the database."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("exchange", "0009_indexes_of_comparison"),
    ]

    operations = [
        migrations.AlterField(
            model_name="digestreport",
            name="made_by",
            field=models.CharField(
                choices=[("own", "本方"), ("theirs", "对方")], default="own", max_length=6, verbose_name="对账方"
            ),
        ),
        migrations.AlterField(
            model_name="endpoint",
            name="queued_to",
            field=models.BigIntegerField(blank=True, null=True, verbose_name="已补排至"),
        ),
        migrations.AlterField(
            model_name="mirror",
            name="asked_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="最近追问"),
        ),
        migrations.AlterField(
            model_name="mirror",
            name="bucket",
            field=models.PositiveSmallIntegerField(verbose_name="分组"),
        ),
        migrations.AlterField(
            model_name="mirror",
            name="last_id",
            field=models.UUIDField(verbose_name="最近事件编号"),
        ),
        migrations.AlterField(
            model_name="mirrorevent",
            name="event_id",
            field=models.UUIDField(verbose_name="事件编号"),
        ),
        migrations.AlterField(
            model_name="mirrorevent",
            name="links",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=80), default=list, size=None, verbose_name="关联编号"
            ),
        ),
        migrations.AlterField(
            model_name="mirrorevent",
            name="partner",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="mirror_events",
                to="exchange.partner",
                verbose_name="来源",
            ),
        ),
        migrations.AlterField(
            model_name="mirrorevent",
            name="previous",
            field=models.PositiveIntegerField(verbose_name="前一序号"),
        ),
        migrations.AlterField(
            model_name="mirrorevent",
            name="received_at",
            field=models.DateTimeField(default=django.utils.timezone.now, verbose_name="收到时间"),
        ),
        migrations.AlterField(
            model_name="mirrorevent",
            name="subject_kind",
            field=models.CharField(max_length=40, verbose_name="对象类别"),
        ),
        migrations.AlterField(
            model_name="mirrorevent",
            name="subject_number",
            field=models.CharField(max_length=80, verbose_name="对象编号"),
        ),
        migrations.AlterField(
            model_name="partner",
            name="obeyed",
            field=models.PositiveIntegerField(default=0, verbose_name="镜像所依协议版本"),
        ),
        migrations.AlterField(
            model_name="quarantine",
            name="message",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="quarantine",
                to="exchange.inboxmessage",
                verbose_name="消息",
            ),
        ),
        migrations.AlterField(
            model_name="refusal",
            name="partner",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="refusals",
                to="exchange.partner",
                verbose_name="伙伴",
            ),
        ),
        migrations.AlterField(
            model_name="sharedsubject",
            name="bucket",
            field=models.PositiveSmallIntegerField(verbose_name="分组"),
        ),
        migrations.AlterField(
            model_name="sharedsubject",
            name="last_id",
            field=models.UUIDField(verbose_name="最近事件编号"),
        ),
    ]
