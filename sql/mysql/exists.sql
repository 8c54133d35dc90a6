SELECT 1
FROM {table}
WHERE {session_id} = :id
  AND {session_id_bytes} = :id -- if collated
  AND {data_guarded} <=> :guard -- if guard
  AND {updated_at} > UTC_TIMESTAMP(6) - INTERVAL :idle_micros MICROSECOND -- if idle
  AND {created_at} > UTC_TIMESTAMP(6) - INTERVAL :lifetime_micros MICROSECOND -- if lifetime
  AND ({expires_at} IS NULL OR {expires_at} > UTC_TIMESTAMP(6)) -- if expires_at
