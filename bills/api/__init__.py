"""The bills over HTTP: parse, authorise, call one command, render."""
