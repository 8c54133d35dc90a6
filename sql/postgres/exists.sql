SELECT 1
FROM {table}
WHERE {session_id} = :id
  AND {session_id_text} COLLATE "C" = :id -- if collated
  AND {data_guarded} IS NOT DISTINCT FROM :guard -- if guard
  AND {updated_at} > {updated_now} - :idle_micros * interval '1 microsecond' -- if idle
  AND {created_at} > {created_now} - :lifetime_micros * interval '1 microsecond' -- if lifetime
  AND ({expires_at} IS NULL OR {expires_at} > {expires_now}) -- if expires_at
