"""Experiments that break processes, stores and queues of the stack, and look at what is left."""
