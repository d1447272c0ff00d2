from django.db import migrations
from stdnum.cn import uscc


def write_as_declared(apps, schema_editor):
    """Until now a code was kept as it was typed, and no declaration could name its organisation by it. Where the same
    organisation stands under the code as declared already, both rows stay as they are: things may hang on either."""
    organisations = apps.get_model("parties", "Organisation").objects
    typed = organisations.exclude(social_credit_code=None).exclude(social_credit_code__regex=r"^[0-9A-Z]{18}$")
    for row in typed:
        code = uscc.compact(row.social_credit_code) or None
        if not organisations.filter(social_credit_code=code).exists():
            organisations.filter(pk=row.pk).update(social_credit_code=code)


class Migration(migrations.Migration):
    dependencies = [("parties", "0004_clients_are_revoked")]

    operations = [migrations.RunPython(write_as_declared, migrations.RunPython.noop)]
