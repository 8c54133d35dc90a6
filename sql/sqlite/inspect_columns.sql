SELECT name, lower(type), pk
FROM pragma_table_xinfo(?1, ?2)
