"""A client is generated from the document, and used as somebody who writes Python would."""

import json
import shutil
import subprocess
import sys

CONFIG = """project_name_override: panotti-client
package_name_override: panotti_client
post_hooks: []
# The type of a body that tus asks for; the generator knows the plain one alone.
content_type_overrides:
  application/offset+octet-stream: application/octet-stream
"""


def run(server, folder):
    """Its line of the summary, and whether all went well."""
    out = folder / "client"
    shutil.rmtree(out, ignore_errors=True)
    document, config = folder / "openapi.json", folder / "client.yaml"
    document.write_text(json.dumps(server.ask("GET", "/api/openapi.json")))
    config.write_text(CONFIG)
    made = subprocess.run(
        [folder / "client-venv/bin/openapi-python-client", "generate", "--path", document, "--config", config,
         "--output-path", out, "--meta", "setup"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    told = [line for line in made.stdout.splitlines() if line.strip() and not line.startswith("Generating")]
    if made.returncode != 0 or told:
        print("\n".join(told))
        return f"client: generated with {len(told)} lines of warnings", False
    sys.path.insert(0, str(out))
    import story

    steps = story.tell(server)
    return f"client: generated without warnings; {steps} steps of its story went well", True
