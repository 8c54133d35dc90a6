DELETE FROM {table}
WHERE {session_id} IN (
    :id,
    :legacy, -- if legacy
  )
  AND {session_id_bytes} IN ( -- if collated
    :id, -- if collated
    :legacy, -- if collated and legacy
  ) -- if collated
