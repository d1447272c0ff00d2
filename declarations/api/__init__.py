"""The API of declarations: parse, authorise, call one command, render."""
