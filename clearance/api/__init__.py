"""Clearance over the API: parse, authorise, call one command, render."""
