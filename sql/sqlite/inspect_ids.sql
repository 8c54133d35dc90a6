SELECT 'setting', 'blob_ids', CAST(count(*) AS text)
FROM {table}
WHERE {session_id} >= x''
