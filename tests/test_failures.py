"""Commands that are killed, or find the disk full: what they leave, and what the next run makes.

Each command runs in a process of its own, a fork of this one, which counts what it writes and
stops at one of these places.
"""

import errno
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from spacy_crossner import cli
from spacy_crossner.errors import CrossnerError
from spacy_crossner.files import _HOST as HOST
from spacy_crossner.files import atomic_folder, is_disk_full, temporary_beside, write_file
from spacy_crossner.ml import versions
from spacy_crossner.ml.versions import check_versions
from spacy_crossner.translate.cache import Cache
from tests.conftest import SENTENCES
from tests.pipelines import TRAIN_DATA, make_examples, make_nlp, train

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
KILLED = -signal.SIGKILL
# What a project does, but for the trainings, in which spaCy writes.
STEPS = {
    "encoder": "--output encoder --source {encoder}",
    "sample": "{sample} corpus --languages de,zh",
    "translate": "corpus/source.spacy views/translated.spacy --from en --to de --engine memory "
    "--memory {sample} --report metrics/translation.json",
    "lexicon": "lexicons/{{lang}}.tsv --from en --to de,es --tsv {table}",
    "codeswitch": "views/translated.spacy views/parallel.spacy --lexicon lexicons --ratio 0.9",
    "annotate": "{teacher} corpus/target.spacy annotated --restart",
    "calibrate": "{teacher} corpus/dev.spacy calibrated --threshold",
    "evaluate": "calibrated corpus --output metrics/scores.json",
    "package": "calibrated packages --languages de --texts corpus --scores metrics/scores.json",
}


def run(folder, arguments, *, stop_at=0, how="kill", places=None):
    """Run a command in a folder, up to a place where it writes there, counted from 1.

    RETURNS (Tuple[int, str]): How it ended, and what it printed.
    """
    output = folder.parent / "output.txt"
    output.unlink(missing_ok=True)
    process = os.fork()
    if process == 0:
        try:
            # the threads of the parent are not there any more
            torch.set_num_threads(1)
            os.chdir(folder)
            seen = []
            sys.addaudithook(lambda event, args: _watch(event, args, folder, seen, stop_at, how))
            result = CliRunner().invoke(cli.app, arguments)
            error = "".join(traceback.format_exception(*result.exc_info)) if result.exc_info else ""
            if places is not None:
                places.write_text(str(len(seen)))
            output.write_text(result.output if result.exit_code == 0 else result.output + error)
            os._exit(result.exit_code)
        finally:
            os._exit(99)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    # messages are wrapped to the width of the terminal
    return code, " ".join(output.read_text().split()) if output.exists() else ""


def _watch(event, args, folder, seen, stop_at, how):
    if event == "open":
        if isinstance(args[0], int) or not args[2] & WRITING:
            return
    elif event != "os.mkdir" and not (how == "kill" and event in ("os.rename", "os.remove")):
        return
    if not Path(os.fsdecode(args[0])).absolute().is_relative_to(folder):
        return
    seen.append(event)
    if not stop_at or len(seen) < stop_at:
        return
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(args[0]))


def read_all(folder):
    """Read all files of a folder, including hidden ones."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        # SQLite sets pages aside as it likes; what counts is what is made of its translations
        if path.is_file() and path.suffix != ".cache"
    }


@pytest.fixture(scope="module")
def steps(tmp_path_factory, tiny_encoder):
    """What each command was given, the arguments, and what it made without an interruption."""
    base = tmp_path_factory.mktemp("steps")
    sample = base / "sample"
    for name, lines in SENTENCES.items():
        (sample / name).parent.mkdir(parents=True, exist_ok=True)
        (sample / name).write_text("\n".join(lines) + "\n", encoding="utf8")
    nlp = make_nlp(tiny_encoder, token_label_ner={})
    train(nlp, make_examples(nlp, TRAIN_DATA), steps=20)
    nlp.to_disk(base / "teacher")
    table = base / "table.tsv"
    table.write_text("visited\tbesuchte\nbank\tBank\nriver\tFluss\n", encoding="utf8")
    places = {"encoder": tiny_encoder, "sample": sample, "table": table}
    places["teacher"] = base / "teacher"
    work = base / "work"
    work.mkdir()
    made = {}
    for number, (command, words) in enumerate(STEPS.items()):
        before = base / f"{number}"
        shutil.copytree(work, before)
        arguments = [command, *words.format(**places).split()]
        code, output = run(work, arguments, places=base / "count")
        assert code == 0, output
        made[command] = before, arguments, read_all(work), int((base / "count").read_text())
    return made


@needs_fork
@pytest.mark.parametrize("command", STEPS)
def test_killed_commands_end_in_the_same_when_run_again(steps, tmp_path, command):
    before, arguments, expected, writes = steps[command]
    for stop_at in {1, (writes + 1) // 2, writes}:
        work = tmp_path / str(stop_at)
        shutil.copytree(before, work)
        assert run(work, arguments, stop_at=stop_at)[0] == KILLED
        code, output = run(work, arguments)
        assert code == 0, output
        assert read_all(work) == expected


@needs_fork
@pytest.mark.parametrize("command", STEPS)
def test_a_full_disk_is_named_and_leaves_nothing_half(steps, tmp_path, command):
    before, arguments, expected, _ = steps[command]
    for stop_at in (1, 2):
        work = tmp_path / str(stop_at)
        shutil.copytree(before, work)
        old = read_all(work)
        code, output = run(work, arguments, stop_at=stop_at, how="full")
        if code == 0:  # so few writes
            continue
        assert code == 1
        assert f"crossner {command}: [CN" in output
        assert "disk is full" in output
        assert {key for key in read_all(work) if Path(key).name.startswith(".")} == set()
        there = read_all(work)
        for path, content in there.items():
            whole = content in (expected.get(path), old.get(path))
            assert whole or command == "annotate", path  # whose manifest says what is missing
        code, output = run(work, arguments)
        assert code == 0, output
        assert read_all(work) == expected


def test_a_full_disk_is_recognized(tmp_path):
    assert is_disk_full(OSError(errno.ENOSPC, "no room"))
    assert is_disk_full(RuntimeError("I/O error: No space left on device (os error 28)"))
    outer = ValueError("damaged")
    outer.__cause__ = OSError(errno.EDQUOT, "quota")
    assert is_disk_full(outer)
    assert not is_disk_full(OSError(errno.EACCES, "denied"))
    cache = Cache(tmp_path / "cache")
    with pytest.raises(CrossnerError, match="CN015"), cache._naming():
        raise sqlite3.OperationalError("database or disk is full")


def test_unsupported_versions_are_refused(monkeypatch):
    check_versions()
    check_versions(["torch>=1.0", "nothing>=9", 'torch>=99; extra == "x"', "tqdm>=99"])
    with pytest.raises(CrossnerError, match=r"(?s)CN017.*torch>=99.*pip install 'torch>=99'"):
        check_versions(["torch>=99"])
    monkeypatch.setattr(versions, "version", lambda name: "5.1.0")
    with pytest.raises(CrossnerError, match=r"CN017.*transformers<4\.53\.3.*version 5\.1\.0"):
        check_versions(["transformers<4.53.3,>=4.40"])


def test_errors_of_ours_are_not_dressed_up():
    assert cli.explain(KeyError("x")) is None
    assert cli.explain(FileNotFoundError(errno.ENOENT, "missing", "x")) is None
    denied = PermissionError(errno.EACCES, "Permission denied", "corpus/dev.spacy")
    assert "CN016" in cli.explain(denied)
    assert "corpus/dev.spacy: Permission denied" in cli.explain(denied)


def left_by(process: int, name: str) -> str:
    """Make the temporary name that a process of this machine gives."""
    return f".{name}.tmp-{HOST}-{process}-0123abcd"


@needs_fork
def test_leftovers_of_the_dead_are_cleared_away(tmp_path):
    dead = os.fork()
    if dead == 0:
        os._exit(0)
    os.waitpid(dead, 0)
    for number in (dead, os.getpid()):
        write_file(tmp_path / left_by(number, "a.json") / "half", "")
    elsewhere = left_by(dead, "a.json").replace(HOST, "0" * len(HOST))
    mine = temporary_beside(tmp_path / "a.json").name
    kept = {left_by(os.getppid(), "a.json"), left_by(dead, "b.json"), elsewhere, mine}
    kept |= {".a.json.tmpfile", ".a.json.tmp-file"}
    for name in kept:
        (tmp_path / name).touch()
    temporary = temporary_beside(tmp_path / "a.json")
    assert {path.name for path in tmp_path.iterdir()} == kept
    assert temporary.parent == tmp_path
    assert not temporary.exists()


def test_missing_folders_are_made(tmp_path):
    write_file(tmp_path / "a" / "b" / "file", "content")
    assert read_all(tmp_path) == {"a/b/file": b"content"}
    for path in (tmp_path / "a/b/file/c", tmp_path / "a/b/file/c/d"):
        with pytest.raises(CrossnerError, match=r"CN212.*file/c.*is a file, not a folder"):
            write_file(path, "content")
    assert read_all(tmp_path) == {"a/b/file": b"content"}


def test_links_and_permissions_are_kept(tmp_path):
    target, link = tmp_path / "data" / "target", tmp_path / "link"
    write_file(target, "old")
    target.chmod(0o640)
    link.symlink_to(target)
    write_file(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    folder = tmp_path / "folder"
    folder.symlink_to(tmp_path / "data")
    (tmp_path / "data").chmod(0o750)
    with atomic_folder(folder) as scratch:
        write_file(scratch / "file", "newest")
    assert folder.is_symlink()
    assert read_all(tmp_path / "data") == {"file": b"newest"}
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o750
    (tmp_path / "dangling").symlink_to(tmp_path / "made")
    write_file(tmp_path / "dangling", "content")
    assert (tmp_path / "made").read_text() == "content"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_devices_and_pipes_are_written_to(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_bytes)
        write_file(pipe, "content")
        assert read.result() == b"content"
    assert pipe.is_fifo()
    write_file(Path(os.devnull), "content")
    assert Path(os.devnull).is_char_device()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_threads_and_processes_write_one_file(tmp_path):
    path = tmp_path / "file"
    contents = [str(number) * 1000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: write_file(path, contents[number % 8]), range(400)))
    assert path.read_text() in contents
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("name", ["x" * 250, "ü" * 125, "x" * 243])
def test_long_names(tmp_path, name):
    write_file(tmp_path / name, "content")
    with atomic_folder(tmp_path / f"f{name[1:]}") as scratch:
        write_file(scratch / "file", "content")
    assert read_all(tmp_path) == {name: b"content", f"f{name[1:]}/file": b"content"}


def test_folders_are_written_whole_or_not_at_all(tmp_path):
    folder = tmp_path / "folder"
    for content in ("old", "new"):
        with atomic_folder(folder) as scratch:
            write_file(scratch / "file", content)
        assert read_all(tmp_path) == {"folder/file": content.encode()}

    def stop_halfway():
        with atomic_folder(folder) as scratch:
            write_file(scratch / "file", "newest")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stop_halfway()
    assert read_all(tmp_path) == {"folder/file": b"new"}
    assert os.listdir(tmp_path) == ["folder"]


def test_a_folder_that_can_not_be_replaced_is_kept(tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    write_file(folder / "file", "old")
    rename = Path.rename

    def refuse(path, target):
        if path.name == "new":
            raise PermissionError("somebody reads it")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(PermissionError), atomic_folder(folder) as scratch:
        write_file(scratch / "file", "new")
    assert read_all(tmp_path) == {"folder/file": b"old"}


def test_a_folder_that_was_moved_away_by_a_killed_process_is_put_back(tmp_path):
    folder = tmp_path / "folder"
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    left = tmp_path / left_by(process.pid, "folder")
    write_file(left / "old" / "file", "old")
    write_file(left / "new" / "file", "new")
    temporary_beside(folder)
    assert read_all(tmp_path) == {"folder/file": b"old"}
    # killed while it deleted what had been replaced
    shutil.rmtree(folder)
    write_file(left / "old" / "file", "old")
    temporary_beside(folder)
    assert read_all(tmp_path) == {}


MISTAKES = {
    "encoder --output e --source nowhere": r"CN012.*nowhere.*embedded",
    "sample missing corpus --languages de": r"CN202.*missing",
    "sample {sample} corpus --languages de,qq": r"CN280.*'qq'.*de, en, zh.*languages in project",
    "translate missing.spacy out.spacy --from en --to de": r"CN202.*missing",
    "translate {dev} out.spacy --from en --to qq --engine memory --memory {sample}": r"CN\d.*qq",
    "lexicon l.tsv --from en --to de --tsv missing.tsv": r"CN202.*missing",
    "lexicon l.tsv --from en --to qq --freedict auto": r"CN\d.*qq",
    "codeswitch {dev} out.spacy --lexicon qq=missing.tsv": r"CN202.*missing",
    "annotate missing {dev} out": r"CN611.*missing",
    "annotate {teacher} missing.txt out": r"CN202.*missing",
    "calibrate missing {dev} out": r"CN611.*missing",
    "calibrate {teacher} missing.spacy out": r"CN610.*missing.*convert",
    "evaluate {teacher} missing": r"CN610.*missing.*convert",
    "report {teacher} missing": r"CN610.*missing.*convert",
    "package missing out --languages de": r"CN710.*missing.*spacy train",
    "package {teacher} out --languages de,qq": r"CN711.*'qq'.*--languages",
    "package {teacher} out --languages de --sources missing.json": r"CN714.*missing.*--sources",
    "package {teacher} out --languages de --texts missing": r"CN202.*missing",
    "verify missing.whl --against {teacher}": r"CN720.*missing",
    "verify {folder} --against {teacher}": r"CN724.*package",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_what_is_missing_is_named_with_a_remedy(steps, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = {command: words for command, (_, words, _, _) in steps.items()}
    before = steps["annotate"][0]
    places = {
        "sample": arguments["sample"][1],
        "teacher": arguments["annotate"][1],
        "dev": before / "corpus" / "dev.spacy",
        "folder": tmp_path,
    }
    words = line.format(**places).split()
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == 1, result.exception
    output = " ".join(result.output.split())
    assert f"crossner {words[0]}: [" in output
    assert re.search(MISTAKES[line], output), output
