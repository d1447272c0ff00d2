from django.db import migrations

#: The one rule of who may declare for whom, where lodgement (SQL) and everything else (registration.may_declare_for)
#: can ask it; and which registered organisation a message means.
FUNCTIONS = """
CREATE FUNCTION parties_may_declare_for(p_declarant bigint, p_firm bigint, p_procedure text, p_day date)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN p_declarant = p_firm OR EXISTS (
    SELECT FROM parties_mandate m WHERE m.firm_id = p_firm AND m.broker_id = p_declarant AND m.valid @> p_day
      AND (m.customs_procedures = '{}' OR p_procedure = ANY (m.customs_procedures)));
END $$;

CREATE FUNCTION parties_registered(p_credit_code text, p_customs_code text) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE found_id bigint;
BEGIN
  IF p_credit_code <> '' THEN
    SELECT o.id INTO found_id FROM parties_organisation o WHERE o.social_credit_code = p_credit_code;
  END IF;
  IF found_id IS NULL AND p_customs_code <> '' THEN
    SELECT o.id INTO found_id FROM parties_organisation o WHERE o.customs_code = p_customs_code;
  END IF;
  RETURN found_id;
END $$;
"""

DROP = """
DROP FUNCTION parties_may_declare_for(bigint, bigint, text, date);
DROP FUNCTION parties_registered(text, text);
"""


class Migration(migrations.Migration):
    dependencies = [("parties", "0001_initial")]

    operations = [migrations.RunSQL(FUNCTIONS, DROP)]
