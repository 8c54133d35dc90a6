SELECT pg_catalog.pg_is_in_recovery(),
  pg_catalog.current_setting('transaction_read_only'),
  (SELECT source FROM pg_catalog.pg_settings WHERE name = 'statement_timeout')
