SELECT count(*)
FROM pragma_index_list(?1, ?2) AS list
WHERE list."unique"
  AND NOT list.partial
  AND ?3 = (
    SELECT group_concat(part.name)
    FROM pragma_index_info(list.name, ?2) AS part
  )
