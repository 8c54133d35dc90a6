SELECT
  {session_id_text},
  {data_out},
  {created_at}, -- if created_at
  CAST(NULL AS timestamptz), -- unless created_at
  {updated_at}, -- if updated_at
  CAST(NULL AS timestamptz), -- unless updated_at
  clock_timestamp()
FROM {table}
WHERE {session_id} IN (
    :id,
    :legacy, -- if legacy
  )
  AND {session_id_text} COLLATE "C" IN ( -- if collated
    :id, -- if collated
    :legacy, -- if collated and legacy
  ) -- if collated
  AND ({session_id} = :id OR NOT EXISTS ( -- if legacy and timed
    SELECT 1 -- if legacy and timed
    FROM {table} AS private -- if legacy and timed
    WHERE private.{session_id} = :id -- if legacy and timed
      AND (FALSE -- if legacy and timed
        OR private.{updated_at} <= {updated_now} - :idle_micros * interval '1 microsecond' -- if legacy and idle
        OR private.{created_at} <= {created_now} - :lifetime_micros * interval '1 microsecond' -- if legacy and lifetime
        OR private.{expires_at} <= {expires_now} -- if legacy and expires_at
      ) -- if legacy and timed
  )) -- if legacy and timed
  AND {updated_at} > {updated_now} - :idle_micros * interval '1 microsecond' -- if idle
  AND {created_at} > {created_now} - :lifetime_micros * interval '1 microsecond' -- if lifetime
  AND ({expires_at} IS NULL OR {expires_at} > {expires_now}) -- if expires_at
