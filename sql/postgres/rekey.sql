UPDATE {table} SET
  {session_id} = :new_id
WHERE {key} = CAST(:key AS {key_type})
  AND {session_id_text} COLLATE "C" = :stored_id
