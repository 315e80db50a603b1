"""An explicit-state check of the table of states."""
