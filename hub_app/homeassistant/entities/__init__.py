"""Entities of Home Assistant, made from what nodes say of themselves. Pure."""
