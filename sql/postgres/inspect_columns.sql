SELECT
  attribute.attname::text,
  format_type(attribute.atttypid, NULL),
  CASE WHEN attribute.atttypid IN ('varchar'::regtype, 'bpchar'::regtype) THEN attribute.atttypmod - 4 ELSE -1 END,
  attribute.atttypid IN ('varchar'::regtype, 'text'::regtype) AND coalesce(locale.collisdeterministic, TRUE)
FROM pg_attribute AS attribute
LEFT JOIN pg_collation AS locale ON locale.oid = attribute.attcollation
WHERE attribute.attrelid = to_regclass($1)
  AND attribute.attnum > 0
  AND NOT attribute.attisdropped
