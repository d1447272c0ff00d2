from django.db import migrations

APPEND = """
CREATE SEQUENCE events_entry;
CREATE SEQUENCE events_position;

CREATE FUNCTION events_append(
  p_type text, p_kind text, p_number text, p_actor text, p_audience bigint[], p_data jsonb,
  p_occurred timestamptz DEFAULT NULL, OUT o_id uuid, OUT o_sequence integer
) LANGUAGE plpgsql AS $$
BEGIN
  o_id := common_uuid7();
  o_sequence := coalesce((SELECT max(e.sequence) FROM events_event e
    WHERE e.subject_kind = p_kind AND e.subject_number = p_number), 0) + 1;
  INSERT INTO events_event (id, entry, position, type, subject_kind, subject_number, sequence,
    occurred_at, recorded_at, actor, audience, data)
  VALUES (o_id, nextval('events_entry'), NULL, p_type, p_kind, p_number, o_sequence,
    coalesce(p_occurred, now()), clock_timestamp(), p_actor, p_audience, p_data);
END $$;

-- Publishes up to p_limit committed events in the order of writing. One at a time (the lock is held until commit), so
-- positions become visible in their order. Returns how many.
CREATE FUNCTION events_publish(p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE published integer;
BEGIN
  IF NOT pg_try_advisory_xact_lock(7230916) THEN RETURN 0; END IF;
  WITH batch AS (
    SELECT id FROM events_event WHERE position IS NULL ORDER BY entry LIMIT p_limit
  ), numbered AS (
    SELECT b.id, nextval('events_position') AS position
    FROM (SELECT e.id FROM events_event e JOIN batch USING (id) ORDER BY e.entry) b
  ), updated AS (
    UPDATE events_event e SET position = n.position FROM numbered n WHERE e.id = n.id
    RETURNING e.position, e.audience, e.type
  ), tally AS (
    INSERT INTO events_tally AS t (type, number) SELECT u.type, count(*) FROM updated u GROUP BY u.type
    ON CONFLICT (type) DO UPDATE SET number = t.number + excluded.number
  ), audience AS (
    INSERT INTO events_audience (organisation_id, position)
    SELECT DISTINCT a, u.position FROM updated u, unnest(u.audience) a
  )
  SELECT count(*) INTO published FROM updated;
  RETURN published;
END $$;
"""

DROP = """
DROP FUNCTION events_publish(integer);
DROP FUNCTION events_append(text, text, text, text, bigint[], jsonb, timestamptz);
DROP SEQUENCE events_position; DROP SEQUENCE events_entry;
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial"), ("common", "0001_initial")]

    operations = [migrations.RunSQL(APPEND, DROP)]
