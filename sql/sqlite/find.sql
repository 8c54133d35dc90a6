SELECT
  {session_id},
  {data},
  {created_at}, -- if created_at
  NULL, -- unless created_at
  {updated_at} -- if updated_at
  NULL -- unless updated_at
FROM
  ( -- if legacy
    SELECT :id AS "wanted id" -- if legacy
    UNION ALL SELECT :legacy -- if legacy
  ) AS lookup CROSS JOIN -- if legacy
  {table}
WHERE {session_id} = :id -- unless legacy
WHERE {session_id} = lookup."wanted id" -- if legacy
  AND {session_id} COLLATE BINARY IN ( -- if collated
    :id, -- if collated
    :legacy, -- if collated and legacy
  ) -- if collated
  AND ({session_id} = :id OR NOT EXISTS ( -- if legacy and timed
    SELECT 1 -- if legacy and timed
    FROM {table} AS private -- if legacy and timed
    WHERE private.{session_id} = :id -- if legacy and timed
      AND private.{session_id} COLLATE BINARY = :id -- if collated and legacy and timed
      AND (FALSE -- if legacy and timed
        OR private.{updated_at} <= :idle_since -- if legacy and idle
        OR private.{created_at} <= :born_since -- if legacy and lifetime
        OR private.{expires_at} <= :now -- if legacy and expires_at
      ) -- if legacy and timed
  )) -- if legacy and timed
  AND {updated_at} > :idle_since -- if idle
  AND {created_at} > :born_since -- if lifetime
  AND ({expires_at} IS NULL OR {expires_at} > :now) -- if expires_at
