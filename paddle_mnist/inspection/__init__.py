"""What a trained net does with a digit: every operation's result, what changes the answer, what it confuses."""
