"""Machine facts: from the files of the system, and empty where it has none."""

from pathlib import Path

from node_agent.descriptions import machine


def test_an_arm_board_has_its_model_in_the_device_tree(tmp_path: Path) -> None:
    file = tmp_path / "proc" / "device-tree" / "model"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"Raspberry Pi 4 Model B Rev 1.4\0")
    assert machine.model(tmp_path) == "Raspberry Pi 4 Model B Rev 1.4"


def test_a_pc_has_maker_and_product_in_its_firmware(tmp_path: Path) -> None:
    folder = tmp_path / "sys" / "class" / "dmi" / "id"
    folder.mkdir(parents=True)
    (folder / "sys_vendor").write_text("Maker\n")
    (folder / "product_name").write_text("Box 7\n")
    assert machine.model(tmp_path) == "Maker Box 7"


def test_a_machine_that_tells_nothing_has_no_model(tmp_path: Path) -> None:
    assert machine.model(tmp_path) == ""


def test_the_address_is_that_of_the_connection() -> None:
    assert machine.lan_address("192.168.7.11") == "192.168.7.11"
    assert machine.lan_address("fe80::1%eth0") == "fe80::1%eth0"


def test_a_loopback_connection_tells_no_address_of_its_own() -> None:
    assert machine.lan_address("127.0.0.1") != "127.0.0.1"
    assert machine.lan_address("") == machine.lan_address("::1")
