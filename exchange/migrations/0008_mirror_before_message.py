from django.db import migrations, models

RECEIVE = """
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
  m exchange_mirror; known bytea; other uuid; filed integer;
BEGIN
  -- The mirror first: whoever repairs a subject holds it, and then files the subject's messages.
  LOOP
    INSERT INTO exchange_mirror (partner_id, subject_kind, subject_number, day, bucket, count, sequence, last_id,
      changed_at, missing, last_type, last_time, data)
    VALUES (p_partner, p_kind, p_number, exchange_day(p_occurred), exchange_bucket(p_number), 0, 0, p_event,
      now(), 0, p_type, p_occurred, '{}')
    ON CONFLICT DO NOTHING RETURNING * INTO m;
    EXIT WHEN FOUND;
    SELECT * INTO m FROM exchange_mirror
    WHERE partner_id = p_partner AND subject_kind = p_kind AND subject_number = p_number FOR UPDATE;
    EXIT WHEN FOUND;  -- else it was given up meanwhile
  END LOOP;

  INSERT INTO exchange_inboxmessage (partner_id, message_id, body, digest, received_at)
  VALUES (p_partner, p_message, p_body, p_digest, now())
  ON CONFLICT DO NOTHING RETURNING id INTO o_message;
  IF o_message IS NULL THEN
    SELECT id, digest INTO o_message, known FROM exchange_inboxmessage
    WHERE partner_id = p_partner AND message_id = p_message;
    IF known IS DISTINCT FROM p_digest THEN
      DELETE FROM exchange_mirror WHERE id = m.id AND count = 0;
      o_verdict := 'id-reused';
      RETURN;
    END IF;
  END IF;

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


class Migration(migrations.Migration):
    dependencies = [("exchange", "0007_sharing_obeyed")]

    operations = [
        migrations.RunSQL(RECEIVE, BEFORE),
        migrations.AlterField(
            model_name="partner",
            name="obeyed",
            field=models.PositiveIntegerField(default=0, verbose_name="已执行协议版本"),
        ),
        migrations.AddField(
            model_name="partner",
            name="obeyed_to",
            field=models.BigIntegerField(blank=True, null=True, verbose_name="已裁减至"),
        ),
        migrations.AddField(
            model_name="partner",
            name="asked_in_vain",
            field=models.PositiveIntegerField(default=0, verbose_name="连续未果"),
        ),
        migrations.AlterField(
            model_name="endpoint",
            name="state_reason",
            field=models.CharField(
                blank=True,
                choices=[("gone", "已应答 410"), ("no-success", "期限内未成功一次")],
                max_length=200,
                verbose_name="原因",
            ),
        ),
        migrations.RunSQL(
            "UPDATE exchange_endpoint SET state_reason = CASE state_reason WHEN '410 Gone' THEN 'gone' ELSE 'no-success' END"
            " WHERE state_reason IN ('410 Gone', 'no success within the term')",
            "UPDATE exchange_endpoint SET state_reason = CASE state_reason WHEN 'gone' THEN '410 Gone'"
            " ELSE 'no success within the term' END WHERE state_reason IN ('gone', 'no-success')",
        ),
        # It was said for ever of partners that only take: they are not asked any more.
        migrations.RunSQL(
            "UPDATE exchange_partner SET last_error = '' WHERE last_error = 'no agreement in force'",
            migrations.RunSQL.noop,
        ),
    ]
