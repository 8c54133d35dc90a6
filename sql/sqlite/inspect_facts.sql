SELECT 'index', part.name, ''
FROM pragma_index_list(?1, ?2) AS list
JOIN pragma_index_info(list.name, ?2) AS part
WHERE part.seqno = 0
  AND NOT list.partial
  AND part.name IS NOT NULL
UNION ALL
SELECT 'index', name, ''
FROM pragma_table_xinfo(?1, ?2)
WHERE pk = 1
UNION ALL
SELECT 'required', name, ''
FROM pragma_table_xinfo(?1, ?2)
WHERE "notnull"
  AND dflt_value IS NULL
  AND NOT hidden
  AND NOT (pk AND lower(type) = 'integer')
UNION ALL
SELECT 'setting', 'version', sqlite_version()
