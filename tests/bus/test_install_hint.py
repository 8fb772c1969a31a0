from bus.install.hint import install_extra


def test_the_advice_names_the_projects_own_wheel_and_no_public_index() -> None:
    assert install_extra("pi") == "pip install '<wheel or folder>[pi]'"
    assert install_extra("pi", pip="/opt/x/pip") == "/opt/x/pip install '<wheel or folder>[pi]'"
