"""Makes the reference numbers anew and says what differs from those that are committed.

    python3 test/reference/make.py                  make all, compare
    python3 test/reference/make.py unet ddim        only some scripts
    python3 test/reference/make.py --write [...]    and replace the committed ones
    python3 test/reference/make.py --install        only make the environment

Plain Python 3.11 is enough to start it: it makes the pinned environment of requirements.txt in .reference-env first.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

here = Path(__file__).resolve().parent
root = here.parent.parent
environment = root / ".reference-env"
libraries = ("make", "common", "formula", "likes_pipeline", "recorder")
# The tiny model is not only a test: README's first command runs it, so it has its own place.
destinations = {"tiny_model": root / "weights" / "tiny"}


def enter_environment() -> None:
    """Starts over inside the pinned environment, made and filled where it is missing."""
    python = environment / "bin" / "python"
    if Path(sys.prefix) == environment:
        return
    wanted = (here / "requirements.txt").read_text()
    stamp = environment / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Installing the reference environment into {environment} (about 6 GB, some minutes) …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", here / "requirements.txt"], check=True)
        stamp.write_text(wanted)
    os.execv(python, [python, __file__, *sys.argv[1:]])


def differences(new: Path, old: Path) -> list[str]:
    """A line for every file that is not the same; of tensors, how far apart they are."""
    lines = []
    files = {path.relative_to(base) for base in (new, old) if base.exists() for path in base.rglob("*") if path.is_file()}
    for file in sorted(files):
        if not (new / file).exists():
            lines.append(f"{file}: no longer made")
        elif not (old / file).exists():
            lines.append(f"{file}: new")
        elif (new / file).read_bytes() != (old / file).read_bytes():
            lines.append(f"{file}: {how_different(new / file, old / file)}")
    return lines


def how_different(new: Path, old: Path) -> str:
    if new.suffix != ".safetensors":
        return "differs"
    from safetensors.torch import load_file

    a, b = load_file(new), load_file(old)
    if a.keys() != b.keys() or any(a[name].shape != b[name].shape for name in a):
        return "other tensors or shapes"
    def distance(name):
        x, y = a[name].double(), b[name].double()
        return ((x - y).abs().max() / y.abs().max().clamp_min(1e-30)).item() if x.numel() else 0.0

    worst = max(a, key=distance)
    return f"relative difference at most {distance(worst):.1e} ({worst})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scripts", nargs="*", help="names of scripts, without .py; all where none is given")
    parser.add_argument("--write", action="store_true", help="replace the committed numbers")
    parser.add_argument("--install", action="store_true", help="only make the environment")
    options = parser.parse_args()
    enter_environment()
    if options.install:
        return 0

    scripts = options.scripts or sorted(p.stem for p in here.glob("*.py") if p.stem not in libraries)
    differing = 0
    with tempfile.TemporaryDirectory() as folder:
        for script in scripts:
            print(f"{script} …", flush=True)
            out = Path(folder) / script
            code = f"import sys; sys.path.insert(0, {str(here)!r}); import {script}; from pathlib import Path; {script}.make(Path({str(out)!r}))"
            subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONHASHSEED": "0"})
            committed = destinations.get(script, here / "expected" / script)
            lines = differences(out, committed)
            differing += len(lines)
            print("".join(f"  {line}\n" for line in lines) or "  as committed\n", end="", flush=True)
            if options.write:
                shutil.rmtree(committed, ignore_errors=True)
                shutil.copytree(out, committed)
    print(f"{differing} files differ from those committed" + (", now replaced." if options.write and differing else "."))
    return 0 if options.write or not differing else 1


sys.exit(main())
