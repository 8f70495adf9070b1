"""What the configuration of a client needs, so that it starts ``vstack-mcp``."""

from __future__ import annotations

import json
from typing import Any

# Where each client reads it from, as its makers document it.
_PLACES = {
    "claude-desktop": "claude_desktop_config.json (Settings, Developer, Edit Config)",
    "claude-code": ".mcp.json at the root of the project",
    "cursor": ".cursor/mcp.json in the project, or ~/.cursor/mcp.json",
    "cline": "cline_mcp_settings.json (MCP Servers, Configure)",
    "continue": ".continue/mcpServers/vstack.yaml in the workspace",
    "vscode": ".vscode/mcp.json in the workspace",
    "generic": "your client's list of stdio servers",
}


def snippet(client: str, program: str) -> tuple[str, str]:
    """The file that a client reads, and what to put there.

    Args:
        client: One of ``cli_commands.CLIENTS``.
        program: The path of ``vstack-mcp``: clients are started without a shell's PATH.
    """
    return _PLACES[client], _continue(program) if client == "continue" else json.dumps(
        _wrapped(client, program), indent=2
    )


def _wrapped(client: str, program: str) -> dict[str, Any]:
    # Without a key in the environment nothing but the signals answers; that is what the variable says.
    server: dict[str, Any] = {"command": program, "args": ["serve"], "env": {"VSTACK_LLM": "offline"}}
    if client in ("claude-code", "vscode"):
        server = {"type": "stdio", **server}
    if client == "cline":
        server = {**server, "disabled": False, "autoApprove": []}
    return {"servers" if client == "vscode" else "mcpServers": {"vstack": server}}


def _continue(program: str) -> str:
    lines = (
        "name: vstack",
        "version: 0.0.1",
        "schema: v1",
        "mcpServers:",
        "  - name: vstack",
        f"    command: {json.dumps(program)}",
        "    args:",
        "      - serve",
        "    env:",
        "      VSTACK_LLM: offline",
    )
    return "\n".join(lines)
