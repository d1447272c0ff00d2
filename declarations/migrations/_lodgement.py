"""Lodgement as one call, whether of one declaration or of five hundred: plans are cached in the session, nothing is
prepared per connection (so it works behind PgBouncer), and a declaration is stored whole or not at all.

The column lists are made from the models as the migration knows them: a column that has the name of a member of the
message is filled from it. A migration that adds such a column runs :func:`create` again."""

from __future__ import annotations

from typing import Any

#: Columns that are the system's own, whatever the message holds under their names.
OWN = {
    "id", "unified_number", "customs_number", "client_reference", "state", "state_since", "version", "revision",
    "lodged_by_id", "firm_id", "owner_id", "declarant_id", "risk_score", "created_at", "updated_at", "lodged_at", "amended_at",
    "accepted_at", "released_at", "cleared_at", "declaration_id", "position",
}  # fmt: skip

PARTS = {"GoodsItem": "goods_items", "Container": "containers", "AttachedDocument": "attached_documents"}


def _columns(model: Any) -> tuple[str, str]:
    """The columns filled from the message, and the record that stands for an empty message (text is '' there)."""
    fields = [field for field in model._meta.local_concrete_fields if field.column not in OWN]
    blank = ", ".join(f'"{field.column}": ""' for field in fields if field.get_internal_type() == "CharField")
    return ", ".join(field.column for field in fields), f"'{{{blank}}}'::jsonb"


def _list(prefix: str, columns: str) -> str:
    return ", ".join(f"{prefix}.{column}" for column in columns.split(", "))


def _parts(apps: Any) -> str:
    sql = ""
    for name, member in PARTS.items():
        model = apps.get_model("declarations", name)
        columns, blank = _columns(model)
        table = model._meta.db_table
        sql += f"""
  IF p_columns ? '{member}' THEN
    INSERT INTO {table} (declaration_id, position, {columns})
    SELECT p_id, row_.n, {_list("made", columns)}
    FROM jsonb_array_elements(p_columns->'{member}') WITH ORDINALITY row_(v, n),
      jsonb_populate_record(jsonb_populate_record(null::{table}, {blank}), row_.v) made;
  END IF;"""  # noqa: S608
    return sql


FUNCTIONS = """
CREATE OR REPLACE FUNCTION declarations_fill(p_id bigint, p_columns jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN {parts}
END $$;

-- Entries: {{"message": the message, "columns": the same without empty numbers and dates where it has any,
-- "draft": true for a draft, "event": what the event tells, "province": how the 13 digits of its number begin}}. One row per
-- entry comes back: stored (outcome "created"), the same as one stored before under this client reference ("same"), or refused
-- ("different", "unregistered", "no-mandate").
CREATE OR REPLACE FUNCTION declarations_lodge(p_lodger bigint, p_actor text, p_day date, p_entries jsonb)
RETURNS TABLE (o_entry integer, o_outcome text, o_id bigint, o_number varchar, o_reference varchar, o_state varchar,
  o_version integer, o_revision integer)
LANGUAGE plpgsql AS $$
DECLARE
  blank declarations_declaration := jsonb_populate_record(null::declarations_declaration, {blank});
  entry record; cols jsonb; head text; draft boolean; firm bigint; owner bigint; declarant bigint; audience bigint[];
BEGIN
  FOR entry IN
    SELECT (e.n - 1)::integer AS i, e.v, e.v->'message' AS message,
      nullif(e.v->'message'->>'client_reference', '') AS reference
    FROM jsonb_array_elements(p_entries) WITH ORDINALITY e(v, n)
    ORDER BY reference  -- the same order in every session: two batches never wait for each other in a circle
  LOOP
    cols := coalesce(entry.v->'columns', entry.message);
    draft := coalesce((entry.v->>'draft')::boolean, false);
    head := coalesce(entry.v->>'province', '');
    o_entry := entry.i; o_id := NULL; o_reference := entry.reference; o_version := 1; o_revision := 1;
    o_state := CASE WHEN draft THEN 'draft' ELSE 'lodged' END;
    firm := parties_registered(cols->>'domestic_party_credit_code', cols->>'domestic_party_code');
    IF NOT draft THEN
      IF firm IS NULL THEN
        o_outcome := 'unregistered'; o_number := NULL; RETURN NEXT; CONTINUE;
      END IF;
      IF NOT parties_may_declare_for(p_lodger, firm, cols->>'customs_procedure', p_day) THEN
        o_outcome := 'no-mandate'; o_number := NULL; RETURN NEXT; CONTINUE;
      END IF;
    END IF;
    owner := parties_registered(cols->>'owner_credit_code', cols->>'owner_code');
    declarant := parties_registered(cols->>'declarant_credit_code', cols->>'declarant_code');
    INSERT INTO declarations_declaration AS d (unified_number, client_reference, state, state_since, version, revision,
      lodged_by_id, firm_id, owner_id, declarant_id, created_at, updated_at, lodged_at, {columns})
    SELECT (cols->>'direction') || to_char(p_day, 'YYYY') || head
        || lpad(nextval('declarations_unified_number')::text, 13 - length(head), '0'),
      entry.reference, o_state, now(), 1, 1, p_lodger, firm, owner, declarant, now(), now(),
      CASE WHEN draft THEN NULL ELSE now() END, {made}
    FROM jsonb_populate_record(blank, cols) made
    ON CONFLICT (lodged_by_id, client_reference) DO NOTHING
    RETURNING d.id, d.unified_number INTO o_id, o_number;
    IF o_id IS NULL THEN
      SELECT d.id, d.unified_number, d.state, d.version, d.revision,
        CASE WHEN EXISTS (SELECT FROM declarations_declarationversion v
          WHERE v.declaration_id = d.id AND v.message = entry.message) THEN 'same' ELSE 'different' END
      INTO o_id, o_number, o_state, o_version, o_revision, o_outcome
      FROM declarations_declaration d WHERE d.lodged_by_id = p_lodger AND d.client_reference = entry.reference;
      RETURN NEXT; CONTINUE;
    END IF;
    INSERT INTO declarations_declarationversion (declaration_id, version, message, reason, actor, created_at)
    VALUES (o_id, 1, entry.message, '', p_actor, now());
    PERFORM declarations_fill(o_id, cols);
    audience := CASE WHEN draft THEN ARRAY[p_lodger] ELSE ARRAY(
      SELECT DISTINCT p FROM unnest(ARRAY[p_lodger, firm, owner, declarant]) p WHERE p IS NOT NULL ORDER BY p) END;
    PERFORM events_append(CASE WHEN draft THEN 'declaration.drafted' ELSE 'declaration.lodged' END, 'declaration',
      o_number, p_actor, audience, entry.v->'event', NULL);
    o_outcome := 'created'; RETURN NEXT;
  END LOOP;
END $$;

-- The columns and lists of a declaration made anew from another message.
CREATE OR REPLACE FUNCTION declarations_revise(p_id bigint, p_columns jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  blank declarations_declaration := jsonb_populate_record(null::declarations_declaration, {blank});
BEGIN
  UPDATE declarations_declaration SET ({columns}) = (SELECT {made} FROM jsonb_populate_record(blank, p_columns) made),
    firm_id = parties_registered(p_columns->>'domestic_party_credit_code', p_columns->>'domestic_party_code'),
    owner_id = parties_registered(p_columns->>'owner_credit_code', p_columns->>'owner_code'),
    declarant_id = parties_registered(p_columns->>'declarant_credit_code', p_columns->>'declarant_code')
  WHERE id = p_id;
  {delete}
  PERFORM declarations_fill(p_id, p_columns);
END $$;
"""


def create(apps: Any, schema_editor: Any) -> None:
    columns, blank = _columns(apps.get_model("declarations", "Declaration"))
    tables = [apps.get_model("declarations", name)._meta.db_table for name in PARTS]
    schema_editor.execute(
        FUNCTIONS.format(
            parts=_parts(apps),
            blank=blank,
            columns=columns,
            made=_list("made", columns),
            delete="\n  ".join(f"DELETE FROM {table} WHERE declaration_id = p_id;" for table in tables),  # noqa: S608
        ),
        params=None,
    )


def drop(apps: Any, schema_editor: Any) -> None:
    schema_editor.execute(
        "DROP FUNCTION declarations_revise(bigint, jsonb);"
        "DROP FUNCTION declarations_lodge(bigint, text, date, jsonb);"
        "DROP FUNCTION declarations_fill(bigint, jsonb);"
    )
