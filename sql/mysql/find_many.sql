SELECT
  {session_id_bytes},
  {data_out},
  {created_at}, -- if created_at
  NULL, -- unless created_at
  {updated_at}, -- if updated_at
  NULL, -- unless updated_at
  UTC_TIMESTAMP(6),
  (
    TRUE
    AND {updated_at} > UTC_TIMESTAMP(6) - INTERVAL :idle_micros MICROSECOND -- if idle
    AND {created_at} > UTC_TIMESTAMP(6) - INTERVAL :lifetime_micros MICROSECOND -- if lifetime
    AND ({expires_at} IS NULL OR {expires_at} > UTC_TIMESTAMP(6)) -- if expires_at
  )
FROM {table}
WHERE {session_id} IN (:ids)
