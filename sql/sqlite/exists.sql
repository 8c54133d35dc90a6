SELECT 1
FROM {table}
WHERE {session_id} = :id
  AND {session_id} COLLATE BINARY = :id -- if collated
  AND CAST({data} AS BLOB) IS CAST(:guard AS BLOB) -- if guard
  AND {updated_at} > :idle_since -- if idle
  AND {created_at} > :born_since -- if lifetime
  AND ({expires_at} IS NULL OR {expires_at} > :now) -- if expires_at
