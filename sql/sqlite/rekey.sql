UPDATE {table} SET
  {session_id} = :new_id
WHERE {key} = :key
  AND {session_id} COLLATE BINARY = :stored_id
