"""`sealpipe completion`: a script for the shell, made from the static table; Tab starts no Python."""

from __future__ import annotations

from sealpipe.cli import options, output, registry
from sealpipe.cli.options import Common

_EXAMPLES = (
    'eval "$(sealpipe completion bash)"                                      # in ~/.bashrc',
    'eval "$(sealpipe completion zsh)"                                       # in ~/.zshrc',
    "sealpipe completion fish > ~/.config/fish/completions/sealpipe.fish",
)


@options.command("completion", examples=_EXAMPLES)
@options.argument("shell", type=options.Choice(("bash", "zsh", "fish")))
@options.common()
def command(opts: Common, shell: str) -> None:  # noqa: ARG001  # every command takes opts
    """Print the completion script for a shell: commands, options, environments and services."""
    output.echo({"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]())


def _words() -> dict[str, list[str]]:
    """What may follow each command: its subcommands and its options."""
    found: dict[str, list[str]] = {}
    for name, (_, _, subcommands) in registry.COMMANDS.items():
        command = registry.load_command(name)
        parts = [command, *(command.commands[sub] for sub in sorted(command.commands))]
        flags = {
            flag
            for part in parts
            for parameter in part.parameters
            for flag in parameter.flags
            if flag.startswith("--")
        }
        found[name] = [*subcommands, *sorted(flags)]
    return found


def _bash() -> str:
    cases = "\n".join(f'    {name}) words="{" ".join(words)}" ;;' for name, words in _words().items())
    return f"""\
_sealpipe_targets() {{
  local top=. file
  while [ ! -f "$top/sealpipe.yaml" ] && [ ${{#top}} -lt 60 ]; do top=$top/..; done
  for file in "$top"/environments/*/ "$top"/environments/*/[!_]*.yaml; do
    [ -e "$file" ] || continue
    file=${{file#"$top"/environments/}}; file=${{file%/}}; printf '%s\\n' "${{file%.yaml}}"
  done
}}
_sealpipe() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} name="" at words
  for ((at = 1; at < COMP_CWORD; at++)); do
    case ${{COMP_WORDS[at]}} in
      -C|--format|--color) ((at++)) ;;
      -*) ;;
      *) name=${{COMP_WORDS[at]}}; break ;;
    esac
  done
  case $name in
    "") words="{" ".join(registry.COMMANDS)}" ;;
{cases}
  esac
  if [ -n "$name" ] && [[ $current != -* ]]; then words="$words $(_sealpipe_targets)"; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _sealpipe sealpipe"""


def _zsh() -> str:
    return "autoload -Uz bashcompinit && bashcompinit\n" + _bash()


def _fish() -> str:
    lines = [
        "function __sealpipe_targets",
        "  set -l top .",
        "  while not test -f $top/sealpipe.yaml; and test (string length $top) -lt 60; set top $top/..; end",
        "  for file in $top/environments/*/ $top/environments/*/*.yaml",
        "    string replace -r '^.*/environments/' '' $file | string replace -r '(/|\\.yaml)$' ''",
        "  end",
        "end",
        "complete -c sealpipe -f",
    ]
    for name, (_, text, _) in registry.COMMANDS.items():
        lines.append(f"complete -c sealpipe -n __fish_use_subcommand -a {name} -d '{text}'")
    for name, words in _words().items():
        seen = f"'__fish_seen_subcommand_from {name}'"
        for word in words:
            what = f"-l {word[2:]}" if word.startswith("--") else f"-a {word}"
            lines.append(f"complete -c sealpipe -n {seen} {what}")
    lines.append("complete -c sealpipe -n 'not __fish_use_subcommand' -a '(__sealpipe_targets)'")
    return "\n".join(lines)
