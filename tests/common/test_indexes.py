"""What every write pays for has to be of use."""

from __future__ import annotations

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db

_COVERED = """
SELECT c.relname, n.relname FROM pg_index a
JOIN pg_index b ON a.indrelid = b.indrelid AND a.indexrelid <> b.indexrelid
JOIN pg_class c ON c.oid = a.indexrelid JOIN pg_class n ON n.oid = b.indexrelid AND n.relam = c.relam
JOIN pg_am m ON m.oid = c.relam AND m.amname = 'btree'
WHERE NOT a.indisunique AND num_nulls(a.indpred, b.indpred, a.indexprs, b.indexprs) = 4
  AND starts_with(b.indkey::text || ' ', a.indkey::text || ' ')
  AND starts_with(b.indclass::text || ' ', a.indclass::text || ' ')
"""


def test_no_index_of_ours_is_the_beginning_of_another():
    with connection.cursor() as cursor:
        cursor.execute(_COVERED)
        found = [f"{index} is covered by {by}" for index, by in cursor.fetchall() if not index.startswith("auth_")]
    assert found == []
