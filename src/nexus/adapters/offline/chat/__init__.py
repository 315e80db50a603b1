"""How the offline model talks: reads the conversation, chooses tool calls, tells results."""
