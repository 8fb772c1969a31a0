"""Laboratory of Linux machines: systemd-nspawn containers on a network of their own.

`make test-machines` runs the checks here (`check_*.py`). They need root, systemd-nspawn,
debootstrap and the kernel's namespaces, so `make test` leaves them out.

    with laboratory() as lab, lab.machine("hub", "192.168.7.10") as hub:
        hub.run("pip install harvester-edge[hub]")
        hub.power_cut()
        hub.power_on()
"""
