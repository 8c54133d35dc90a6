SELECT count(*)
FROM {table}
