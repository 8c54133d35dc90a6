SELECT
  {session_id_text},
  {data_out},
  {created_at}, -- if created_at
  CAST(NULL AS timestamptz), -- unless created_at
  {updated_at}, -- if updated_at
  CAST(NULL AS timestamptz), -- unless updated_at
  clock_timestamp(),
  (
    TRUE
    AND {updated_at} > {updated_now} - :idle_micros * interval '1 microsecond' -- if idle
    AND {created_at} > {created_now} - :lifetime_micros * interval '1 microsecond' -- if lifetime
    AND ({expires_at} IS NULL OR {expires_at} > {expires_now}) -- if expires_at
  )
FROM {table}
WHERE {session_id} = ANY(:ids)
  AND {session_id_text} COLLATE "C" = ANY(:ids) -- if collated
