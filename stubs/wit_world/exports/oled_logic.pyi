# Written by `harvester plugins stubs` from wit/plugin.wit.
