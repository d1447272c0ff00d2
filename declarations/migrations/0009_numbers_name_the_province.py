"""The 13 digits of a unified number begin with the province's four. Numbers already given stay."""

from django.db import migrations

from declarations.migrations import _lodgement

#: Nine digits are left to run.
NINE = "ALTER SEQUENCE declarations_unified_number MAXVALUE 999999999"
THIRTEEN = "ALTER SEQUENCE declarations_unified_number MAXVALUE 9999999999999"


class Migration(migrations.Migration):
    dependencies = [("declarations", "0008_filled_from_files_and_log")]

    operations = [
        migrations.RunSQL(NINE, THIRTEEN),
        migrations.RunPython(_lodgement.create, migrations.RunPython.noop),
    ]
