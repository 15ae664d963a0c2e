"""Checks template.yaml against what a linter cannot know, and writes its translation for the linter.

The checks: every route of the API is served by the same function under `cargo lambda watch`, has an event in
events/, and is answered within the gateway's limits; every secret is a dynamic reference and only the auth function
can sign tokens; no policy grants more than it names. They run on the template translated to plain CloudFormation
where that says more than the source.

Usage: check_template.py TRANSLATED.json, from the root of the repository.
"""

import copy
import json
import os
import re
import sys
import tomllib
from pathlib import Path

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

SECRETS = {"MONGODB_URI", "JWT_SIGNING_KEY", "ELEVENLABS_API_KEY", "GEMINI_API_KEY"}
DYNAMIC_REFERENCE = re.compile(r"^\{\{resolve:secretsmanager:newvisions/\$\{Stage\}:SecretString:[a-z_]+\}\}$")
# Every route is there a second time under this path.
BASE_PATH = "/api"
# S3 has no folders: the objects under one prefix of one bucket can only be named by a wildcard at the very end.
ONE_PREFIX = re.compile(r"^\$\{Recordings\.Arn\}/(recordings|uploads|replays)/\*$")

problems = []


def check(holds, problem):
    """Notes `problem` unless `holds`."""
    if not holds:
        problems.append(problem)


def translate(template):
    """The plain CloudFormation that CloudFormation's SAM macro makes of `template`; asks nothing of AWS."""
    template = copy.deepcopy(template)
    # The translator only takes code that was already uploaded.
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/code.zip"
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
    return Translator({}, Parser()).translate(template, parameter_values={})


def resources(template, kind):
    """The properties of each resource of one type, by logical name."""
    return {
        name: {**resource.get("Properties", {}), "Metadata": resource.get("Metadata", {})}
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def watch_function(router, path):
    """The function that `cargo lambda watch` sends `path` to, or None. Literal segments win over `{name}`, and `{name}`
    over `{*rest}`."""
    best = None
    for pattern, function in router.items():
        names = re.sub(r"\\\{\\\*\w+\\\}", "(?:.+)", re.escape(pattern))
        names = re.sub(r"\\\{\w+\\\}", "[^/]+", names)
        if re.fullmatch(names, path):
            rank = [2 if "{*" in part else 1 if "{" in part else 0 for part in pattern.split("/")]
            best = min(best or (rank, function), (rank, function))
    return best and best[1]


def statements(document):
    """The statements of a policy document that allow something."""
    return [statement for statement in document["Statement"] if statement["Effect"] == "Allow"]


def as_list(value):
    """IAM writes one value or a list of values."""
    return value if isinstance(value, list) else [value]


def check_routes(functions):
    """Every route is there under the base path too, has a watch route to the same function and an event, and every event
    has a route."""
    router = tomllib.loads(Path("Cargo.toml").read_text())["workspace"]["metadata"]["lambda"]["watch"]["router"]
    routes = {}
    for function in functions.values():
        for event in function.get("Events", {}).values():
            if event["Type"] == "HttpApi":
                properties = event["Properties"]
                key = f"{properties['Method']} {properties['Path']}"
                check(key not in routes, f"the route {key} is there twice")
                routes[key] = function["Metadata"]["BuildProperties"]["Binary"]

    for key, function in routes.items():
        check("*" not in key and "+" not in key and "ANY" not in key, f"the route {key} is open-ended")
        path = key.split()[1].replace("{user_id}", "me")
        watched = watch_function(router, path)
        check(watched == function, f"{key} is {function} in template.yaml and {watched} in Cargo.toml's watch.router")
    for pattern, function in router.items():
        check(function in routes.values(), f"Cargo.toml's watch.router sends {pattern} to {function}, which has no route")

    played = set()
    for file in sorted(Path("events").glob("*.json")):
        event = json.loads(file.read_text())
        if "routeKey" in event:
            played.add(event["routeKey"])
            check(event["routeKey"] in routes, f"{file} is for {event['routeKey']}, which is no route")
    own = {key for key in routes if f" {BASE_PATH}/" not in key}
    for key in own:
        under_base_path = key.replace(" ", f" {BASE_PATH}", 1)
        check(routes.get(under_base_path) == routes[key], f"{under_base_path} is not the same function as {key}")
    check(len(routes) == 2 * len(own), f"there are routes under {BASE_PATH} alone")
    for key in own - played:
        check(False, f"the route {key} has no event in events/")
    return routes


def check_variables(functions, shared_variables):
    """Secrets are dynamic references, and only those who may hold one do."""
    for name, function in functions.items():
        variables = {**shared_variables, **function.get("Environment", {}).get("Variables", {})}
        for variable, value in variables.items():
            reference = isinstance(value, dict) and DYNAMIC_REFERENCE.match(str(value.get("Fn::Sub")))
            named_like_one = variable.endswith(("_KEY", "_SECRET", "_PASSWORD", "_TOKEN"))
            check(reference or not (variable in SECRETS or named_like_one), f"{name}: {variable} is a secret in plain sight")
        signs = "JWT_SIGNING_KEY" in variables
        check(signs == (name == "AuthFunction"), f"{name}: only AuthFunction holds JWT_SIGNING_KEY")
    perform = functions["PerformFunction"]
    lease = perform["Environment"]["Variables"]["PERFORM_TIMEOUT_SECONDS"]
    check(lease == perform["Timeout"], "PERFORM_TIMEOUT_SECONDS is not the perform function's timeout")


def check_policies(translated):
    """No role may do more than its policies name; only users and perform reach the recordings."""
    for name, role in resources(translated, "AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            for statement in statements(policy["PolicyDocument"]):
                check("NotAction" not in statement and "NotResource" not in statement, f"{name}: grants by exclusion")
                for action in as_list(statement["Action"]):
                    check("*" not in action, f"{name}: the action {action} has a wildcard")
                    allowed = name in ("UsersFunctionRole", "PerformFunctionRole") or not action.startswith("s3:")
                    check(allowed, f"{name}: {action} is not its business")
                for resource in as_list(statement["Resource"]):
                    text = str(resource.get("Fn::Sub", "") if isinstance(resource, dict) else resource)
                    check("*" not in text or ONE_PREFIX.match(text), f"{name}: the resource {text} has a wildcard")


def check_gateway(translated, routes):
    """Each translated route speaks payload 2.0 and waits no longer than an HTTP API can; CORS survived the translation,
    which drops it when a list in it is a reference."""
    (api,) = resources(translated, "AWS::ApiGatewayV2::Api").values()
    cors = api["Body"]["x-amazon-apigateway-cors"]
    for part in ("allowOrigins", "allowMethods", "allowHeaders", "exposeHeaders"):
        check(isinstance(cors.get(part), list), f"the CORS configuration lost {part}")
    served = 0
    for path, methods in api["Body"]["paths"].items():
        for method, operation in methods.items():
            integration = operation["x-amazon-apigateway-integration"]
            served += 1
            check(integration["payloadFormatVersion"] == "2.0", f"{method} {path}: not payload 2.0")
            check(integration.get("timeoutInMillis", 30_000) <= 30_000, f"{method} {path}: the gateway gives up after 30 s")
    check(served == len(routes), f"the API serves {served} routes, the functions name {len(routes)}")


def main():
    template = yaml_parse(Path("template.yaml").read_text())
    translated = translate(template)
    Path(sys.argv[1]).write_text(json.dumps(translated, indent=1))

    functions = resources(template, "AWS::Serverless::Function")
    routes = check_routes(functions)
    check_variables(functions, template["Globals"]["Function"]["Environment"]["Variables"])
    check_policies(translated)
    check_gateway(translated, routes)
    for problem in problems:
        print(f"template.yaml: {problem}", file=sys.stderr)
    print(f"{len(functions)} functions, {len(routes)} routes, {len(problems)} problems")
    sys.exit(1 if problems else 0)


main()
