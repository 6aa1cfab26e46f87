"""harness.certify_port: who asks whom when a hand-written port is certified."""
