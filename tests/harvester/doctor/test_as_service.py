"""The doctor with the rights of the service."""

from pathlib import Path

from harvester.doctor import as_service


def test_the_doctor_gets_user_groups_and_cache_of_the_service() -> None:
    words = as_service.command(
        Path("/opt/x"), "pizero", Path("/etc/harvester/pizero.toml"), "harvester", ["--simulate"]
    )
    given = [word for word in words if "=" in word]
    assert given == [
        "User=harvester",
        "SupplementaryGroups=gpio i2c spi dialout",
        "CacheDirectory=harvester-pizero",
        "CacheDirectoryMode=0700",
        "AmbientCapabilities=CAP_NET_RAW",
    ]
    end = ["/opt/x", "doctor", "--role", "pizero", "--config", "/etc/harvester/pizero.toml"]
    assert words[-7:] == [*end, "--simulate"]


def test_a_file_of_a_project_is_examined_with_the_rights_of_its_user() -> None:
    assert not as_service.is_wanted(Path("config/spoke.toml"))
    assert not as_service.is_wanted(None)
