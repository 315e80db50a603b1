"""What a token costs here, beside a bare relay and beside others. `make bench` runs it, docs/performance.md explains it."""
