"""The live state: what the topics say now, presence, fan-out to the pages."""
