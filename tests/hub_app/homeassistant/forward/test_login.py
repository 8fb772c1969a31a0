"""The forwarder's login: which files are taken, and what a wrong one says."""

from pathlib import Path

import pytest

from bus.config.homeassistant_table import HomeAssistantConfig
from bus.errors import MisconfiguredError
from hub_app.homeassistant.forward import login

SECRET = "hems own secret"


def secret_file(folder: Path, text: str, mode: int = 0o600) -> str:
    path = folder / "ha.toml"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_without_files_there_is_no_login() -> None:
    found = login.connection(HomeAssistantConfig(broker="mqtt://ha.local"))
    assert (found.address, found.login) == (("ha.local", 1883), None)


def test_tls_without_a_ca_trusts_the_machines_authorities() -> None:
    found = login.connection(HomeAssistantConfig(broker="mqtts://ha.local"))
    assert found.address == ("ha.local", 8883)
    assert found.login is not None
    assert (found.login.tls, found.login.username, found.login.ca_pem) == (True, "", "")


def test_user_and_password_come_from_a_file_of_the_owner_alone(tmp_path: Path) -> None:
    file = secret_file(tmp_path, f'username = "harvester"\npassword = "{SECRET}"\n')
    table = HomeAssistantConfig(broker="mqtt://ha.local:1884", credentials_file=file)
    found = login.connection(table)
    assert found.login is not None
    assert (found.login.username, found.login.token) == ("harvester", SECRET)
    assert SECRET not in repr(found)
    Path(file).chmod(0o640)
    with pytest.raises(MisconfiguredError, match="found mode 0640, expected 0600"):
        login.connection(table)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"username = {SECRET}", "found no valid TOML"),
        (f'password = "{SECRET}"', "found no username"),
        (f'username = "a"\npasswort = "{SECRET}"', "found the key 'passwort'"),
        ('username = "a"\npassword = 7', "found a value that is no text"),
    ],
)
def test_a_wrong_file_is_named_and_its_secret_is_not(tmp_path: Path, text: str, said: str) -> None:
    file = secret_file(tmp_path, text)
    with pytest.raises(MisconfiguredError) as raised:
        login.connection(HomeAssistantConfig(broker="mqtt://ha.local", credentials_file=file))
    assert str(raised.value).startswith(f"{file}: {said}")
    assert SECRET not in str(raised.value)


def test_missing_files_are_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "nothing")
    for keys, said in (
        ({"credentials_file": missing}, "found no such file"),
        ({"ca_file": missing}, "homeassistant.ca_file"),
    ):
        with pytest.raises(MisconfiguredError, match=said):
            login.connection(HomeAssistantConfig(broker="mqtts://ha.local", **keys))


def test_a_ca_file_must_hold_a_certificate(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    for content in (b"no certificate", b"\xff\x00"):
        path.write_bytes(content)
        with pytest.raises(MisconfiguredError, match="ca_file"):
            login.connection(HomeAssistantConfig(broker="mqtts://ha.local", ca_file=str(path)))
