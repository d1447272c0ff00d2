"""What new columns hold of the past. Apart from the migrations that add them: nobody waits for a table while this reads."""

from django.db import migrations

COUNTS = """
UPDATE declarations_upload u
SET total = cardinality(u.names), processed = f.processed, lodged = f.lodged
FROM (
  SELECT u.id, count(f.id) AS processed, count(f.id) FILTER (WHERE f.status < 300) AS lodged
  FROM declarations_upload u LEFT JOIN declarations_uploadedfile f ON f.upload_id = u.id
  GROUP BY u.id
) f
WHERE f.id = u.id
"""


class Migration(migrations.Migration):
    dependencies = [("declarations", "0007_uploads_count_their_files")]

    operations = [migrations.RunSQL(COUNTS, migrations.RunSQL.noop)]
