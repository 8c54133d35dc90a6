DELETE FROM {table}
WHERE {session_id} IN (
    :id,
    :legacy, -- if legacy
  )
  AND {session_id_text} COLLATE "C" IN ( -- if collated
    :id, -- if collated
    :legacy, -- if collated and legacy
  ) -- if collated
