"""What a text says: its tokens, its quantities, and the patterns of cards over them."""
