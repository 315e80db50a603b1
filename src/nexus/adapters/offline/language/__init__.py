"""What the offline model knows of English and Chinese: scripts, numbers, dates, units and its own sentences."""
