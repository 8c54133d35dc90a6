SELECT
  {session_id_bytes},
  {data_out},
  {created_at}, -- if created_at
  NULL, -- unless created_at
  {updated_at}, -- if updated_at
  NULL, -- unless updated_at
  UTC_TIMESTAMP(6)
FROM {table}
WHERE {session_id} IN (
    :id,
    :legacy, -- if legacy
  )
  AND {session_id_bytes} IN ( -- if collated
    :id, -- if collated
    :legacy, -- if collated and legacy
  ) -- if collated
  AND ({session_id_bytes} = :id OR NOT EXISTS ( -- if legacy and timed
    SELECT 1 -- if legacy and timed
    FROM {table} AS private -- if legacy and timed
    WHERE private.{session_id} = :id -- if legacy and timed
      AND {private_id_bytes} = :id -- if legacy and timed and collated
      AND (FALSE -- if legacy and timed
        OR private.{updated_at} <= UTC_TIMESTAMP(6) - INTERVAL :idle_micros MICROSECOND -- if legacy and idle
        OR private.{created_at} <= UTC_TIMESTAMP(6) - INTERVAL :lifetime_micros MICROSECOND -- if legacy and lifetime
        OR private.{expires_at} <= UTC_TIMESTAMP(6) -- if legacy and expires_at
      ) -- if legacy and timed
  )) -- if legacy and timed
  AND {updated_at} > UTC_TIMESTAMP(6) - INTERVAL :idle_micros MICROSECOND -- if idle
  AND {created_at} > UTC_TIMESTAMP(6) - INTERVAL :lifetime_micros MICROSECOND -- if lifetime
  AND ({expires_at} IS NULL OR {expires_at} > UTC_TIMESTAMP(6)) -- if expires_at
