SELECT min(type = 'view')
FROM pragma_table_list(?1)
WHERE ?2 IS NULL OR schema = ?2
