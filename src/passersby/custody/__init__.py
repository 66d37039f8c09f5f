"""What a custodian looks after: what is held, what is due, what is broken."""
