"""Alarms: rules, evaluation, acknowledgement, history and notifications."""
