SELECT
  index.indisprimary,
  array_agg(attribute.attname::text)
FROM pg_index AS index
JOIN pg_attribute AS attribute
  ON attribute.attrelid = index.indrelid AND attribute.attnum = ANY(index.indkey)
WHERE index.indrelid = to_regclass($1)
  AND index.indisunique
  AND index.indisvalid
  AND index.indimmediate
  AND index.indpred IS NULL
  AND index.indexprs IS NULL
GROUP BY index.indexrelid, index.indisprimary
