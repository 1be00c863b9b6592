"""The words of the house: frozen values, state machines, ports and the error tree."""
