"""SQL text -> Plan -> guarded SQL."""
