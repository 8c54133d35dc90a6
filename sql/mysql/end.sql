DELETE FROM {table}
WHERE {key} = :key
  AND {session_id_bytes} = :key -- if id_key and collated
  AND {session_id_bytes} = :stored_id -- unless user
  AND {data_guarded} <=> :guard -- if guard
  AND {user_bytes} = :user -- if user
