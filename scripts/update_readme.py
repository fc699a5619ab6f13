#!/usr/bin/env python3
"""Writes the README's "Measured" section from the results files: papers/*/results.json and bench/reports/budgets.json.

No figure in the README is typed by hand; run this after a results file changed. With --check nothing is written, and the
exit code says whether the README is up to date.
"""
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


def size(n):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024 or unit == "GiB":
            return f"{n:.3g} {unit}"
        n /= 1024


# Two decimals for large numbers, three for what is small, such as bits a byte.
def number_format(like, sign):
    decimals = 2 if abs(like) >= 100 else 3
    return lambda x: f"{x:{sign}.{decimals}f}"


def verdicts(claims):
    names = [claim["verdict"] for claim in claims]
    return ", ".join(f"{names.count(v)} {v}" for v in ("reproduced", "direction only", "not reproduced") if v in names)


# The headline of every experiment; the folder's page has the rest.
def claims():
    lines = []
    for path in sorted(ROOT.glob("papers/*/results.json")):
        results = json.loads(path.read_text())
        claim = next((c for c in results["claims"] if c["name"] == results.get("headline")), results["claims"][0])
        # A claim about a value has no baseline: the value stands where the difference would.
        value = "range" in claim
        d = claim["value" if value else "difference"]
        number = number_format(claim["method"]["mean"], "" if value else "+")
        interval = f" [{number(d['low'])}, {number(d['high'])}]" if "low" in d else " (one seed)"
        plain = number_format(claim["method"]["mean"], "")
        sides = [
            f"{claim[s]['arm']} {plain(claim[s]['mean'])} ± {plain(claim[s]['deviation'])}" if s in claim else "-"
            for s in ("baseline", "method")
        ]
        slug = path.parent.name
        lines.append(
            f"| [{slug}](papers/{slug}/README.md) | {claim['text']} ({claim['source']}) | {claim['metric']} | {sides[0]} | {sides[1]} "
            f"| {number(d['mean'])}{interval} | {claim['verdict']} | {verdicts(results['claims'])} |"
        )
    if not lines:
        return ""
    head = (
        "| experiment | its main claim | metric | our baseline | our method | difference [95 % interval] | verdict | all claims |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    return "**Claims re-measured** (`switchyard reproduce SLUG`, means over seeds):\n\n" + head + "\n".join(lines) + "\n"


def budgets():
    path = ROOT / "bench/reports/budgets.json"
    if not path.exists():
        return ""
    report = json.loads(path.read_text())
    lines = [
        f"| {r['budget']} | {size(r['expert_slots'])} | {size(r['peak_memory'])} | {100 * r['hit_ratio']:.1f} % "
        f"| {size(r['read_bytes_per_token'])} | {r['median_ts']:.1f} | {'yes' if r['same_tokens'] else 'NO'} |"
        for r in report["rows"]
    ]
    return (
        f"**Less and less memory for experts** ({report['what']}; `{report['command']}`; {report['machine']}, {report['date']}):\n\n"
        "| experts in memory | expert slots | peak memory | hit ratio | read per token | tokens/s | same tokens |\n"
        "|---|---|---|---|---|---|---|\n" + "\n".join(lines) + "\n"
    )


def main():
    readme = ROOT / "README.md"
    text = readme.read_text()
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    parts = [p for p in (budgets(), claims()) if p]
    new = before + BEGIN + "\n" + "\n".join(parts) + END + after
    if "--check" in sys.argv[1:]:
        if new != text:
            print("README.md is not up to date; run scripts/update_readme.py", file=sys.stderr)
            return 1
        return 0
    readme.write_text(new)
    print("README.md updated")
    return 0


if __name__ == "__main__":
    sys.exit(main())
