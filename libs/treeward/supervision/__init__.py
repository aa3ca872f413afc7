"""Pure decisions: what a dispatcher, a supervisor or a process knows is a fold, and what it does next a function of it.

Nothing here does I/O, reads a clock or draws a number: those come in as values, and effects go out as values.
"""
