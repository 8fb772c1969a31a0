"""Lines of a guest's output, as the log shows them."""

from node_agent.sandbox.wasi.output import LineBuffer


def test_fragments_become_lines() -> None:
    lines: list[str] = []
    buffer = LineBuffer(lines.append)
    for fragment in (b"one\ntw", b"o\n\n", b"\tthree \xc3\xa9"):
        buffer.write(fragment)
    buffer.flush()
    assert lines == ["one", "two", "\tthree é"]


def test_control_characters_are_spelled_so_that_no_line_hides_another() -> None:
    lines: list[str] = []
    LineBuffer(lines.append).write(b"\x1b[2J\rplugin other failed\x00\xe2\x80\xae\n")
    assert lines == ["\\x1b[2J\\rplugin other failed\\x00\\u202e"]
