SHOW GLOBAL VARIABLES WHERE Variable_name IN (
  'version', 'innodb_flush_log_at_trx_commit', 'sync_binlog', 'transaction_isolation', 'tx_isolation',
  'wsrep_on', 'read_only', 'max_allowed_packet'
)
