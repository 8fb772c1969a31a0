"""The script of a join as a new machine's shell gets it: authentic, whole, or a refusal."""

import contextlib
import os
import pty
import subprocess
from pathlib import Path

from hub_app.nodes.join import codes, script
from tests.hub_app.nodes.join.site import Site
from tests.support import program


def run_line(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the part of the line before `| sudo sh`, and a shell that only notes its input."""
    return shell(line.replace("| sudo sh", f"> {folder / 'ran'}; echo status $?"))


def shell(text: str) -> subprocess.CompletedProcess[str]:
    program("curl")
    return subprocess.run(
        ["sh", "-c", text],
        env={"PATH": os.environ["PATH"], "no_proxy": "*"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_curl_takes_the_script_by_the_pin_of_the_line(site: Site, tmp_path: Path) -> None:
    done = run_line(site.line("pinned"), tmp_path)
    assert "status 0" in done.stdout, done.stderr
    assert (tmp_path / "ran").read_text().rstrip().endswith('join "$@"')


def test_curl_takes_nothing_under_a_wrong_pin(site: Site, tmp_path: Path) -> None:
    line = site.line("forged")
    pin = line.split("'")[1]
    done = run_line(line.replace(pin, f"sha256//{'A' * 43}="), tmp_path)
    # curl(1): CURLE_SSL_PINNEDPUBKEYNOTMATCH.
    assert "status 90" in done.stdout
    assert (tmp_path / "ran").read_text() == ""
    assert site.state("forged") == "waiting"


def test_a_script_that_is_cut_off_does_nothing(site: Site) -> None:
    with site.client() as machine:
        whole = machine.get(f"/join/{site.code('cut')}").text
    lines = whole.splitlines(keepends=True)
    for count in range(0, len(lines) - 1, 7):
        done = subprocess.run(
            ["sh"],
            input="".join(lines[:count]),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout == ""
        assert "harvester:" not in done.stderr


def test_a_refusal_prints_the_sentence_of_the_hub(site: Site) -> None:
    code = site.code("refused")
    line = site.line("unknown").replace("sudo sh", "sh")
    done = shell(line.replace(line.split("/join/")[1].split()[0], "a" * len(code)))
    assert done.returncode == 1
    assert done.stderr == (
        "harvester: found no such code; on the hub, `sudo harvester join-code NAME` makes one\n"
    )


def test_a_refusal_is_only_printed_whatever_it_says() -> None:
    sentence = "it's `id` $(id) \\n %s \"; id"
    done = shell(script.refusal(sentence))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"harvester: {sentence}\n"


def test_a_dry_run_of_the_line_names_what_it_would_do(site: Site) -> None:
    done = shell(site.line("dry").replace("sudo sh", "sh -s -- --dry-run"))
    assert done.returncode == 0, done.stderr
    assert "would fetch 1 wheels from the hub" in done.stdout
    assert 'would get the login of dry, and do the steps of "harvester install node"' in done.stdout
    assert site.state("dry") == "installing"


def functions() -> str:
    """Return the shipped script without the call at its end."""
    text = Path(codes.__file__).with_name("join.sh").read_text()
    return text.replace("@ASKS@", "yes").removesuffix('join "$@"\n')


def refusal_of_a_node(folder: Path) -> str:
    """Return what a machine with a login is told; its command is there or not in `folder`."""
    (folder / "credentials.toml").write_text('username = "attic"\n')
    paths = f"credentials={folder}/credentials.toml command={folder}/harvester state={folder}/join"
    done = shell(f"{functions()}\n{paths} replace=no\ncheck_is_new\n")
    assert done.returncode == 1
    return done.stderr


def test_a_node_is_told_how_to_join_again(tmp_path: Path) -> None:
    (tmp_path / "harvester").touch()
    said = refusal_of_a_node(tmp_path)
    assert "this machine is a node already, attic" in said
    assert '"sudo harvester join-code attic --replace"' in said
    assert 'run "sudo harvester uninstall --purge" here first' in said


def test_a_machine_whose_command_was_uninstalled_is_told_what_to_remove(tmp_path: Path) -> None:
    said = refusal_of_a_node(tmp_path)
    assert 'run "sudo rm -r /etc/harvester /var/lib/harvester-*" here first' in said


def at_a_terminal(script_text: str, typed: str, tmp_path: Path) -> str:
    """Run a script whose terminal is ours, with lines typed ahead; return what it wrote there."""
    file = tmp_path / "script"
    file.write_text(script_text)
    ours, its = pty.openpty()
    # setsid(1): the terminal on standard input becomes that of the new session.
    words = ("setsid", "--ctty", "--wait", "sh", str(file))
    with subprocess.Popen(words, stdin=its, stdout=its, stderr=its) as child:
        os.close(its)
        os.write(ours, typed.encode())
        said = b""
        # Linux ends a terminal without processes by EIO.
        with contextlib.suppress(OSError):
            while part := os.read(ours, 4096):
                said += part
        os.close(ours)
    assert child.returncode == 0
    return said.decode()


def test_a_person_at_the_terminal_is_asked_what_is_attached(tmp_path: Path) -> None:
    ask = 'extras=agent; ask_what_is_attached; echo "chosen:$attached"\n'
    said = at_a_terminal(functions() + ask, "4 22\nmany\n11\n17 18\n\n27\n", tmp_path)
    assert "Numbers with spaces between them, or nothing." in said
    assert "At most 1." in said
    assert "chosen: --dht22 4 --dht22 22 --leds 11 --fan 27" in said


def test_without_a_terminal_nobody_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "script"
    file.write_text(functions() + 'extras=agent; ask_what_is_attached; echo "chosen:$attached"\n')
    done = shell(f"sh {file}")
    assert (done.returncode, done.stdout) == (0, "chosen:\n"), done.stderr


def test_the_script_is_a_shell_script(site: Site, tmp_path: Path) -> None:
    assert "status 0" in run_line(site.line("syntax"), tmp_path).stdout
    subprocess.run(["sh", "-n", tmp_path / "ran"], check=True, timeout=60)
    assert "@" not in (tmp_path / "ran").read_text().replace('"$@"', "")


def test_the_script_is_clean_by_shellcheck() -> None:
    shell = Path(codes.__file__).with_name("join.sh")
    subprocess.run([program("shellcheck"), shell], check=True, timeout=60)
