"""What the end-to-end tests share: daemons, connections, deadlines."""
