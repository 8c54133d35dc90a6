UPDATE {table} SET
  {session_id} = :new_id, -- if rekey
  {data} = :data, -- if data
  {created_at} = :now, -- if restart and created_at
  {updated_at} = :now, -- if touch and updated_at
  {expires_at} = :expires_at, -- if expiry and expires_at
  {user} = :user, -- if user and user_column
WHERE {session_id} = :id
  AND {session_id} COLLATE BINARY = :id -- if collated
  AND CAST({data} AS BLOB) IS CAST(:guard AS BLOB) -- if guard
  AND {updated_at} > :idle_since -- if idle
  AND {created_at} > :born_since -- if lifetime
  AND ({expires_at} IS NULL OR {expires_at} > :now) -- if expires_at
