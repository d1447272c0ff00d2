"""PostgreSQL's own refusal: no declaration becomes released while a hold stands on it, its bill or one of its containers,
while an inspection is open or a request to change it is pending. The trigger takes the locks of the references that a hold
takes (clearance/references.py), so a hold and a release of the same goods come one after the other, whichever way they
came."""

from django.db import migrations

TRIGGER = """
CREATE FUNCTION clearance_no_release_under_hold() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  refs text[];
  ref text;
BEGIN
  SELECT array_agg(r ORDER BY r COLLATE "C") INTO refs FROM (
    SELECT 'declaration:' || NEW.unified_number AS r
    UNION SELECT 'bill:' || NEW.transport_document_number WHERE NEW.transport_document_number <> ''
    UNION SELECT 'container:' || container_number FROM declarations_container
      WHERE declaration_id = NEW.id AND container_number <> ''
  ) found;
  FOREACH ref IN ARRAY refs LOOP
    PERFORM pg_advisory_xact_lock(hashtextextended(ref, 4));
  END LOOP;
  IF EXISTS (SELECT 1 FROM clearance_hold WHERE lifted_at IS NULL AND reference = ANY (refs)) THEN
    RAISE EXCEPTION 'declaration % cannot be released: a hold stands', NEW.unified_number USING ERRCODE = 'CLR01';
  END IF;
  IF EXISTS (SELECT 1 FROM clearance_inspectionorder WHERE declaration_id = NEW.id AND state = 'ordered') THEN
    RAISE EXCEPTION 'declaration % cannot be released: an inspection is open', NEW.unified_number USING ERRCODE = 'CLR01';
  END IF;
  IF EXISTS (SELECT 1 FROM clearance_changerequest WHERE declaration_id = NEW.id AND state = 'pending') THEN
    RAISE EXCEPTION 'declaration % cannot be released: a request is pending', NEW.unified_number USING ERRCODE = 'CLR01';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER clearance_no_release_under_hold BEFORE UPDATE OF state ON declarations_declaration
  FOR EACH ROW WHEN (NEW.state = 'released' AND OLD.state <> 'released')
  EXECUTE FUNCTION clearance_no_release_under_hold();
"""

DROP = """
DROP TRIGGER clearance_no_release_under_hold ON declarations_declaration;
DROP FUNCTION clearance_no_release_under_hold();
"""


class Migration(migrations.Migration):
    dependencies = [("clearance", "0001_initial")]

    operations = [migrations.RunSQL(TRIGGER, DROP)]
