DELETE FROM {table}
WHERE {key} = CAST(:key AS {key_type})
  AND {session_id_text} COLLATE "C" = :stored_id -- unless user
  AND {data_guarded} IS NOT DISTINCT FROM :guard -- if guard
  AND {user} = :user -- if user
