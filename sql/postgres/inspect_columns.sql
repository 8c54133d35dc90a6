SELECT
  attribute.attname::text,
  format_type(base.type, NULL),
  CASE WHEN base.type IN ('varchar'::regtype, 'bpchar'::regtype) THEN base.modifier - 4 ELSE -1 END,
  base.type IN ('varchar'::regtype, 'text'::regtype) AND coalesce(locale.collisdeterministic, TRUE),
  relation.relkind IN ('v', 'm')
FROM pg_attribute AS attribute
JOIN pg_class AS relation ON relation.oid = attribute.attrelid
CROSS JOIN LATERAL (
  WITH RECURSIVE step (type, modifier) AS (
    SELECT attribute.atttypid, attribute.atttypmod
    UNION ALL
    SELECT domain.typbasetype, domain.typtypmod
    FROM step JOIN pg_type AS domain ON domain.oid = step.type AND domain.typtype = 'd'
  )
  SELECT step.type, step.modifier
  FROM step JOIN pg_type AS base ON base.oid = step.type AND base.typtype <> 'd'
) AS base
LEFT JOIN pg_collation AS locale ON locale.oid = attribute.attcollation
WHERE attribute.attrelid = to_regclass($1)
  AND attribute.attnum > 0
  AND NOT attribute.attisdropped
