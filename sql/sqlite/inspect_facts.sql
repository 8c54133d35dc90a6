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
SELECT 'setting', 'version', sqlite_version()
UNION ALL
SELECT 'setting', CASE WHEN pk = 0 THEN 'unfilled' ELSE 'unfilled_key' END, name
FROM pragma_table_xinfo(?1, ?2)
WHERE "notnull"
  AND hidden = 0
  AND (dflt_value IS NULL OR upper(dflt_value) = 'NULL')
  AND NOT (pk = 1 AND lower(type) = 'integer')
