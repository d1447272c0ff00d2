from django.contrib.postgres.operations import BtreeGistExtension, TrigramExtension
from django.db import migrations, models

#: UUID version 7 (RFC 9562): PostgreSQL has uuidv7() only from 18 on, and 15 is supported.
UUID7 = """
CREATE FUNCTION common_uuid7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
  SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
    PLACING substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
    FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid
$$
"""


class Migration(migrations.Migration):
    initial = True
    dependencies: list[tuple[str, str]] = []

    operations = [
        BtreeGistExtension(),
        TrigramExtension(),
        migrations.RunSQL(UUID7, "DROP FUNCTION common_uuid7()"),
        migrations.CreateModel(
            name="IdempotencyKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("caller", models.CharField(max_length=120)),
                ("key", models.CharField(max_length=255)),
                ("fingerprint", models.BinaryField()),
                ("status", models.PositiveSmallIntegerField()),
                ("headers", models.TextField()),
                ("body", models.BinaryField()),
                ("created_at", models.DateTimeField(db_index=True)),
            ],
            options={
                "verbose_name": "幂等键",
                "verbose_name_plural": "幂等键",
                "constraints": [models.UniqueConstraint(fields=("caller", "key"), name="idempotency_key_once")],
            },
        ),
    ]
