from django.db import migrations

from declarations.migrations import _lodgement

#: Uniqueness is what numbers need, not freedom from gaps: sequences neither wait nor repeat. Nine digits are what a
#: customs number has room for within its office and year.
SEQUENCES = """
CREATE SEQUENCE declarations_unified_number MAXVALUE 9999999999999;
CREATE SEQUENCE declarations_customs_serial MAXVALUE 999999999 CYCLE;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("declarations", "0001_initial"),
        ("parties", "0002_may_declare_for"),
        ("events", "0002_append_and_publish"),
    ]

    operations = [
        migrations.RunSQL(
            SEQUENCES, "DROP SEQUENCE declarations_unified_number; DROP SEQUENCE declarations_customs_serial"
        ),
        migrations.RunPython(_lodgement.create, _lodgement.drop),
    ]
