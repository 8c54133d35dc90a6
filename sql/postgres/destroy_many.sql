DELETE FROM {table}
WHERE (SELECT set_config('lock_timeout', '{lock_bound}', TRUE)) IS NOT NULL
  AND {session_id} = ANY(:ids)
  AND {session_id_text} COLLATE "C" = ANY(:ids) -- if collated
RETURNING {session_id_text}
