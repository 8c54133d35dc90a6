SHOW VARIABLES WHERE Variable_name IN (
  'version', 'max_allowed_packet', 'read_only', 'super_read_only', 'wsrep_on'
)
