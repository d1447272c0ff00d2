from django.db import migrations

#: A credit code that is given must be the organisation's: the customs code alone never stands for another legal person.
FUNCTION = """
CREATE OR REPLACE FUNCTION parties_registered(p_credit_code text, p_customs_code text) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE found_id bigint;
BEGIN
  IF p_credit_code <> '' THEN
    SELECT o.id INTO found_id FROM parties_organisation o WHERE o.social_credit_code = p_credit_code;
  END IF;
  IF found_id IS NULL AND p_customs_code <> '' THEN
    SELECT o.id INTO found_id FROM parties_organisation o WHERE o.customs_code = p_customs_code
      AND (coalesce(p_credit_code, '') = '' OR o.social_credit_code IS NULL);
  END IF;
  RETURN found_id;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("parties", "0002_may_declare_for")]

    operations = [migrations.RunSQL(FUNCTION, migrations.RunSQL.noop)]
