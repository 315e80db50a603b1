"""What is answered in a conversation: the readings of a message, the calls, and their results in words."""
