"""Paths of the views, and the way back from the log-in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_app.http.views.paths import is_view, log_in_query, next_path


@pytest.mark.parametrize(
    "wanted",
    [
        "/",
        "/alarms",
        "/alarms?node=pi4&sensor=dht22-gpio4&field=temperature&above=30",
        "/log?level=error&text=a%20b",
        "/sensor/pi4/dht22-gpio4?range=7d",
        "/node/pi4",
        "/?x=https://evil.example/",
    ],
)
def test_a_view_is_where_the_log_in_leads_to(wanted: str) -> None:
    assert next_path({"next": wanted}) == wanted


@pytest.mark.parametrize(
    "hostile",
    [
        "",
        "//evil.example",
        "///evil.example/node/pi4",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "/%2f/evil.example",
        "/%5cevil.example",
        "https:evil.example",
        "https://evil.example/node/pi4",
        "HTTPS:/node/pi4",
        "javascript:alert(1)",
        "data:text/html,x",
        "evil.example",
        "@evil.example",
        "/@evil.example",
        "/node/../../evil",
        "/node/..//evil.example",
        "/node//evil.example",
        "/node/%2e%2e//evil.example",
        "/node/%2F%2Fevil.example",
        "/node/pi4\r\nSet-Cookie: a=b",
        "/node/pi4\n",
        "/node/pi4#//evil.example",
        "/node/pi4?a=\r\nb: c",
        "/node/p\u00e4",
        "/logout",
        "/login",
        "/static/frame/app.css",
        "/api/support-bundle",
        "/node/" + "a" * 1000,
    ],
)
def test_anything_else_leads_to_the_overview(hostile: str) -> None:
    assert next_path({"next": hostile}) == "/"


@given(st.text(alphabet="/\\.:@?#%2f5c evilnode\t\r\n", max_size=30))
def test_no_text_leads_to_another_site(text: str) -> None:
    found = next_path({"next": text})
    assert found[0] == "/"
    assert found[1:2] not in ("/", "\\")
    assert is_view(found.partition("?")[0])


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/", "", ""),
        ("/alarms", "", "?next=%2Falarms"),
        ("/log", "text=a%20b", "?next=%2Flog%3Ftext%3Da%2520b"),
        ("/sensor/pi4/room", "range=7d", "?next=%2Fsensor%2Fpi4%2Froom%3Frange%3D7d"),
        ("/node/p\u00e4", "", "?next=%2Fnode%2Fp%25C3%25A4"),
        ("/node//evil", "", ""),
    ],
)
def test_the_log_in_page_is_told_which_view_was_asked_for(
    path: str, query: str, expected: str
) -> None:
    assert log_in_query(path, query) == expected
