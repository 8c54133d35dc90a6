DELETE FROM {table}
WHERE {key} = :key
  AND {session_id} COLLATE BINARY = :stored_id -- unless user
  AND CAST({data} AS BLOB) IS CAST(:guard AS BLOB) -- if guard
  AND {user} = :user -- if user
