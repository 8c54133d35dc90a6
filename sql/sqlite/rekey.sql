UPDATE {table} SET
  {session_id} = :new_id
WHERE {key} = :key
  AND CAST({session_id} AS text) COLLATE BINARY = :stored_id
