"""The bus on NATS: connection, streams, relay, ingress, spool, asks, and the client of all of them."""
