# SPDX-License-Identifier: Apache-2.0
"""What the recipes of docs/hunting.md would run, for props/recipes_test.cc.

  recipes.py check          are the YAML files whole, and do their numbers agree? One line for each complaint
  recipes.py job FILE JOB   the shell script of that job, behind its environment where that is not set already
  recipes.py blocks FILE    the ```sh blocks of a document, with fewer seeds
"""

import pathlib
import re
import shlex
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs/recipes"
EXPRESSION = "${{"


def documents(name):
    return [d for d in yaml.safe_load_all((FOLDER / name).read_text()) if d]


def environment(values):
    """Lines that set what is not set. An expression is GitHub's to fill in: here it is the test's."""
    for name, value in values.items():
        if EXPRESSION in str(value):
            yield f': "${{{name}:?is set by the workflow}}"; export {name}'
        else:
            yield f"[ -n \"${{{name}-}}\" ] || {name}={shlex.quote(str(value))}; export {name}"


def github_job(workflow, job):
    """The steps that have a name: those without prepare the machine."""
    body = workflow["jobs"][job]
    lines = ["set -e", *environment({**workflow.get("env", {}), **body.get("env", {})})]
    lines += [step["run"] for step in body["steps"] if "name" in step]
    return "\n".join(lines)


def kubernetes_job(parts, job):
    values = {}
    for part in parts:
        if part["kind"] == "ConfigMap":
            values.update(part["data"])
    (found,) = [p for p in parts if p["kind"] == "Job" and p["metadata"]["name"] == job]
    (container,) = found["spec"]["template"]["spec"]["containers"]
    if container["command"] != ["/bin/sh", "-c"]:
        raise SystemExit(f"{job} does not run sh")
    return "\n".join([*environment(values), *container["args"]])


def job_script(name, job):
    parts = documents(name)
    return github_job(parts[0], job) if "jobs" in parts[0] else kubernetes_job(parts, job)


def check_github(name, workflow):
    triggers = workflow[True]  # YAML 1.1 reads `on` so
    for entry in triggers["schedule"]:
        if not re.fullmatch(r"[\d*/,-]+( [\d*/,-]+){4}", entry["cron"]):
            yield f"{name}: '{entry['cron']}' is no cron schedule"
    jobs = workflow["jobs"]
    for job, body in jobs.items():
        needs = body.get("needs", [])
        for other in [needs] if isinstance(needs, str) else needs:
            if other not in jobs:
                yield f"{name}: {job} needs '{other}', which is no job"
        for step in body["steps"]:
            if EXPRESSION in step.get("run", ""):
                yield f"{name}: {job} puts an expression into a script; put it into env"
            if ("run" in step) == ("uses" in step):
                yield f"{name}: a step of {job} neither runs nor uses, or both"
    shards = [str(s) for s in jobs["hunt"]["strategy"]["matrix"]["shard"]]
    if shards != [str(i + 1) for i in range(int(workflow["env"]["SHARDS"]))]:
        yield f"{name}: the matrix is not the shards 1 to SHARDS"


def check_kubernetes(name, parts):
    data = {p["metadata"]["name"]: p["data"] for p in parts if p["kind"] == "ConfigMap"}["twinwire-hunt"]
    for part in parts:
        if part["kind"] != "Job":
            continue
        spec = part["spec"]
        pod = spec["template"]["spec"]
        volumes = {v["name"] for v in pod["volumes"]}
        for container in pod["containers"]:
            if any(mount["name"] not in volumes for mount in container["volumeMounts"]):
                yield f"{name}: {part['metadata']['name']} mounts a volume that it does not have"
        if spec.get("completionMode") == "Indexed" and str(spec["completions"]) != data["SHARDS"]:
            yield f"{name}: completions and SHARDS differ"
        if pod["restartPolicy"] not in ("Never", "OnFailure"):
            yield f"{name}: a Job's pod cannot restart '{pod['restartPolicy']}'"


def check():
    for path in sorted(FOLDER.glob("*.yaml")):
        parts = documents(path.name)
        if "jobs" in parts[0]:
            yield from check_github(path.name, parts[0])
        else:
            yield from check_kubernetes(path.name, parts)


def blocks(name):
    text = (ROOT / name).read_text()
    for block in re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield re.sub(r"--seeds \d+", "--seeds 30", block)


def main(arguments):
    if arguments == ["check"]:
        complaints = list(check())
        print("\n".join(complaints))
        return 1 if complaints else 0
    if len(arguments) == 3 and arguments[0] == "job":
        print(job_script(*arguments[1:]))
        return 0
    if len(arguments) == 2 and arguments[0] == "blocks":
        print("\n".join(["set -e", *blocks(arguments[1])]))
        return 0
    raise SystemExit(__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
