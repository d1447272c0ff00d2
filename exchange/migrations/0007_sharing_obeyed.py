from django.contrib.postgres.indexes import BrinIndex
from django.db import migrations, models

REFOLD = """
-- Sums a mirror up anew from its events: whatever order they came in, whichever were taken out. Without events there is no
-- mirror. The caller holds its row.
CREATE FUNCTION exchange_refold(p_partner bigint, p_kind text, p_number text) RETURNS exchange_mirror
LANGUAGE plpgsql AS $$
DECLARE
  m exchange_mirror;
BEGIN
  UPDATE exchange_mirror SET count = f.count, sequence = f.sequence, data = f.data, missing = f.missing,
    asked_at = CASE WHEN f.missing > 0 AND f.missing <= exchange_mirror.missing THEN asked_at END,
    day = exchange_day(f.first), last_id = l.event_id, last_type = l.type, last_time = l.occurred_at,
    changed_at = now()
  FROM (
    SELECT count(*) AS count, max(e.sequence) AS sequence, exchange_fold(e.data ORDER BY e.sequence) AS data,
      (array_agg(e.occurred_at ORDER BY e.sequence))[1] AS first,
      count(*) FILTER (WHERE e.previous > 0 AND NOT EXISTS (
        SELECT 1 FROM exchange_mirrorevent p WHERE p.partner_id = p_partner AND p.subject_kind = p_kind
        AND p.subject_number = p_number AND p.sequence = e.previous)) AS missing
    FROM exchange_mirrorevent e
    WHERE e.partner_id = p_partner AND e.subject_kind = p_kind AND e.subject_number = p_number
  ) f, LATERAL (
    SELECT event_id, type, occurred_at FROM exchange_mirrorevent e
    WHERE e.partner_id = p_partner AND e.subject_kind = p_kind AND e.subject_number = p_number
      AND e.sequence = f.sequence
  ) l
  WHERE partner_id = p_partner AND subject_kind = p_kind AND subject_number = p_number
  RETURNING exchange_mirror.* INTO m;
  IF NOT FOUND THEN
    DELETE FROM exchange_mirror WHERE partner_id = p_partner AND subject_kind = p_kind AND subject_number = p_number;
  END IF;
  RETURN m;
END $$;

-- Takes one message: keeps it raw, files its event, brings the mirror forward. The caller's transaction decides.
-- Verdicts: applied, late (something newer is known), gap (a predecessor is missing), duplicate, id-reused (the id came
-- before with another content; nothing was changed), sequence-taken (another event has this place; only the raw message
-- was kept).
CREATE OR REPLACE FUNCTION exchange_receive(
  p_partner bigint, p_message text, p_body bytea, p_digest bytea, p_kind text, p_number text, p_sequence integer,
  p_previous integer, p_event uuid, p_type text, p_occurred timestamptz, p_data jsonb, p_links text[],
  OUT o_verdict text, OUT o_message bigint, OUT o_sequence integer
) LANGUAGE plpgsql AS $$
DECLARE
  m exchange_mirror; known bytea; other uuid; fresh boolean; filed integer;
BEGIN
  INSERT INTO exchange_inboxmessage (partner_id, message_id, body, digest, received_at)
  VALUES (p_partner, p_message, p_body, p_digest, now())
  ON CONFLICT DO NOTHING RETURNING id INTO o_message;
  fresh := o_message IS NOT NULL;
  IF NOT fresh THEN
    SELECT id, digest INTO o_message, known FROM exchange_inboxmessage
    WHERE partner_id = p_partner AND message_id = p_message;
    IF known IS DISTINCT FROM p_digest THEN o_verdict := 'id-reused'; RETURN; END IF;
  END IF;

  INSERT INTO exchange_mirror (partner_id, subject_kind, subject_number, day, bucket, count, sequence, last_id,
    changed_at, missing, last_type, last_time, data)
  VALUES (p_partner, p_kind, p_number, exchange_day(p_occurred), exchange_bucket(p_number), 0, 0, p_event,
    now(), 0, p_type, p_occurred, '{}')
  ON CONFLICT DO NOTHING;
  SELECT * INTO m FROM exchange_mirror
  WHERE partner_id = p_partner AND subject_kind = p_kind AND subject_number = p_number FOR UPDATE;

  INSERT INTO exchange_mirrorevent (partner_id, subject_kind, subject_number, sequence, previous, event_id, type,
    occurred_at, data, links, received_at)
  VALUES (p_partner, p_kind, p_number, p_sequence, p_previous, p_event, p_type, p_occurred, p_data, p_links, now())
  ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS filed = ROW_COUNT;

  IF filed = 0 THEN
    SELECT event_id INTO other FROM exchange_mirrorevent
    WHERE partner_id = p_partner AND subject_kind = p_kind AND subject_number = p_number AND sequence = p_sequence;
    IF other IS DISTINCT FROM p_event THEN o_verdict := 'sequence-taken'; o_sequence := m.sequence; RETURN; END IF;
    o_verdict := 'duplicate';
    IF m.count > 0 THEN o_sequence := m.sequence; RETURN; END IF;
  ELSE
    o_verdict := CASE WHEN p_sequence < m.sequence THEN 'late' ELSE 'applied' END;
  END IF;

  IF filed = 1 AND p_previous = m.sequence AND m.missing = 0 AND (m.count > 0 OR p_previous = 0) THEN
    UPDATE exchange_mirror SET count = m.count + 1, sequence = p_sequence, last_id = p_event, last_type = p_type,
      last_time = p_occurred, data = m.data || p_data, changed_at = now()
    WHERE id = m.id;
    o_sequence := p_sequence;
  ELSE
    m := exchange_refold(p_partner, p_kind, p_number);
    o_sequence := m.sequence;
    IF m.missing > 0 THEN
      IF o_verdict = 'applied' THEN o_verdict := 'gap'; END IF;
      UPDATE exchange_partner SET missing_since = now() WHERE id = p_partner AND missing_since IS NULL;
    END IF;
  END IF;
  UPDATE exchange_partner SET last_received_at = now()
  WHERE id = p_partner AND (last_received_at IS NULL OR last_received_at < now() - interval '5 seconds');
END $$;
"""

BEFORE = """
-- Takes one message: keeps it raw, files its event, brings the mirror forward. The caller's transaction decides.
-- Verdicts: applied, late (something newer is known), gap (a predecessor is missing), duplicate, id-reused (the id came
-- before with another content; nothing was changed), sequence-taken (another event has this place; only the raw message
-- was kept).
CREATE OR REPLACE FUNCTION exchange_receive(
  p_partner bigint, p_message text, p_body bytea, p_digest bytea, p_kind text, p_number text, p_sequence integer,
  p_previous integer, p_event uuid, p_type text, p_occurred timestamptz, p_data jsonb, p_links text[],
  OUT o_verdict text, OUT o_message bigint, OUT o_sequence integer
) LANGUAGE plpgsql AS $$
DECLARE
  m exchange_mirror; known bytea; other uuid; fresh boolean; filed integer;
BEGIN
  INSERT INTO exchange_inboxmessage (partner_id, message_id, body, digest, received_at)
  VALUES (p_partner, p_message, p_body, p_digest, now())
  ON CONFLICT DO NOTHING RETURNING id INTO o_message;
  fresh := o_message IS NOT NULL;
  IF NOT fresh THEN
    SELECT id, digest INTO o_message, known FROM exchange_inboxmessage
    WHERE partner_id = p_partner AND message_id = p_message;
    IF known IS DISTINCT FROM p_digest THEN o_verdict := 'id-reused'; RETURN; END IF;
  END IF;

  INSERT INTO exchange_mirror (partner_id, subject_kind, subject_number, day, bucket, count, sequence, last_id,
    changed_at, missing, last_type, last_time, data)
  VALUES (p_partner, p_kind, p_number, exchange_day(p_occurred), exchange_bucket(p_number), 0, 0, p_event,
    now(), 0, p_type, p_occurred, '{}')
  ON CONFLICT DO NOTHING;
  SELECT * INTO m FROM exchange_mirror
  WHERE partner_id = p_partner AND subject_kind = p_kind AND subject_number = p_number FOR UPDATE;

  INSERT INTO exchange_mirrorevent (partner_id, subject_kind, subject_number, sequence, previous, event_id, type,
    occurred_at, data, links, received_at)
  VALUES (p_partner, p_kind, p_number, p_sequence, p_previous, p_event, p_type, p_occurred, p_data, p_links, now())
  ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS filed = ROW_COUNT;

  IF filed = 0 THEN
    SELECT event_id INTO other FROM exchange_mirrorevent
    WHERE partner_id = p_partner AND subject_kind = p_kind AND subject_number = p_number AND sequence = p_sequence;
    IF other IS DISTINCT FROM p_event THEN o_verdict := 'sequence-taken'; o_sequence := m.sequence; RETURN; END IF;
    o_verdict := 'duplicate';
    IF m.count > 0 THEN o_sequence := m.sequence; RETURN; END IF;
  ELSE
    o_verdict := CASE WHEN p_sequence < m.sequence THEN 'late' ELSE 'applied' END;
  END IF;

  IF filed = 1 AND p_previous = m.sequence AND m.missing = 0 AND (m.count > 0 OR p_previous = 0) THEN
    UPDATE exchange_mirror SET count = m.count + 1, sequence = p_sequence, last_id = p_event, last_type = p_type,
      last_time = p_occurred, data = m.data || p_data, changed_at = now()
    WHERE id = m.id;
    o_sequence := p_sequence;
  ELSE
    UPDATE exchange_mirror SET count = f.count, sequence = f.sequence, data = f.data, missing = f.missing,
      day = exchange_day(f.first), last_id = l.event_id, last_type = l.type, last_time = l.occurred_at,
      changed_at = now()
    FROM (
      SELECT count(*) AS count, max(e.sequence) AS sequence, exchange_fold(e.data ORDER BY e.sequence) AS data,
        (array_agg(e.occurred_at ORDER BY e.sequence))[1] AS first,
        count(*) FILTER (WHERE e.previous > 0 AND NOT EXISTS (
          SELECT 1 FROM exchange_mirrorevent p WHERE p.partner_id = p_partner AND p.subject_kind = p_kind
          AND p.subject_number = p_number AND p.sequence = e.previous)) AS missing
      FROM exchange_mirrorevent e
      WHERE e.partner_id = p_partner AND e.subject_kind = p_kind AND e.subject_number = p_number
    ) f, LATERAL (
      SELECT event_id, type, occurred_at FROM exchange_mirrorevent e
      WHERE e.partner_id = p_partner AND e.subject_kind = p_kind AND e.subject_number = p_number
        AND e.sequence = f.sequence
    ) l
    WHERE exchange_mirror.id = m.id
    RETURNING exchange_mirror.sequence, exchange_mirror.missing INTO o_sequence, m.missing;
    IF m.missing > 0 THEN
      IF o_verdict = 'applied' THEN o_verdict := 'gap'; END IF;
      UPDATE exchange_partner SET missing_since = now() WHERE id = p_partner AND missing_since IS NULL;
    END IF;
  END IF;
  UPDATE exchange_partner SET last_received_at = now()
  WHERE id = p_partner AND (last_received_at IS NULL OR last_received_at < now() - interval '5 seconds');
END $$;
DROP FUNCTION exchange_refold(bigint, text, text);
"""


class Migration(migrations.Migration):
    dependencies = [("exchange", "0006_covered_indexes")]

    operations = [
        migrations.AddField(
            model_name="endpoint", name="queued_to", field=models.BigIntegerField(blank=True, null=True)
        ),
        migrations.RemoveField(model_name="endpoint", name="since"),
        migrations.AddField(model_name="mirror", name="asked_at", field=models.DateTimeField(blank=True, null=True)),
        migrations.AddField(model_name="partner", name="obeyed", field=models.PositiveIntegerField(default=0)),
        migrations.AddField(
            model_name="partner",
            name="wanted_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="要求对账"),
        ),
        migrations.AddField(model_name="payload", name="terms", field=models.BigIntegerField(null=True)),
        migrations.AddIndex(model_name="delivery", index=BrinIndex(fields=["done_at"], name="delivery_done")),
        migrations.AddIndex(
            model_name="inboxmessage", index=BrinIndex(fields=["received_at"], name="inbox_message_received")
        ),
        migrations.AddIndex(
            model_name="mirror",
            index=models.Index(condition=models.Q(("missing__gt", 0)), fields=["partner"], name="mirror_missing"),
        ),
        migrations.AlterModelOptions(
            name="attempt", options={"ordering": ["pk"], "verbose_name": "尝试", "verbose_name_plural": "尝试"}
        ),
        migrations.RunSQL(REFOLD, BEFORE),
    ]
