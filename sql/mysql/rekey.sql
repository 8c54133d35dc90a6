UPDATE {table} SET
  {session_id} = :new_id
WHERE {key} = :key
  AND {session_id_bytes} = :stored_id
