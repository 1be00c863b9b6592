"""`slipstream top`: the fund on a full terminal."""
