"""The script of a join as a new machine's shell gets it: authentic, whole, or a refusal."""

import os
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
        "harvester: found no such code; on the hub, `harvester join-code NAME` makes one\n"
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


def test_the_script_is_a_shell_script(site: Site, tmp_path: Path) -> None:
    assert "status 0" in run_line(site.line("syntax"), tmp_path).stdout
    subprocess.run(["sh", "-n", tmp_path / "ran"], check=True, timeout=60)
    assert "@" not in (tmp_path / "ran").read_text().replace('"$@"', "")


def test_the_script_is_clean_by_shellcheck() -> None:
    shell = Path(codes.__file__).with_name("join.sh")
    subprocess.run([program("shellcheck"), shell], check=True, timeout=60)
