"""Parses a Containerfile into stages, each a list of instructions. An unknown instruction is an error."""

import dataclasses
import json
import re
import shlex

INSTRUCTIONS = {"COPY", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "RUN", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}


@dataclasses.dataclass
class Instruction:
    name: str
    flags: dict  # from --flag=value
    rest: str

    def exec_form(self):
        """The words of a JSON array. In this form no shell stands between the engine's signals and the program."""
        words = json.loads(self.rest)
        assert words and all(isinstance(word, str) for word in words), self
        return words


@dataclasses.dataclass
class Stage:
    base: str  # an image such as debian:bookworm-slim
    name: str  # "" unless there is an AS
    instructions: list

    def last(self, name):
        found = [instruction for instruction in self.instructions if instruction.name == name]
        assert found, f"no {name} in the recipe"
        return found[-1]


def logical_lines(text):
    """Removes comments and joins continued lines."""
    lines = [line for line in text.splitlines() if not re.match(r"\s*#", line)]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [line.strip() for line in joined.splitlines() if line.strip()]


def read_instruction(line):
    name, _, rest = line.partition(" ")
    flags = {}
    while match := re.match(r"--([a-z-]+)=(\S+)\s+", rest):
        flags[match[1]] = match[2]
        rest = rest[match.end():]
    return Instruction(name, flags, rest.strip())


def read_recipe(text):
    stages = []
    for line in logical_lines(text):
        instruction = read_instruction(line)
        if instruction.name == "FROM":
            base, *alias = instruction.rest.split()
            assert not instruction.flags and (not alias or alias[0] == "AS"), line
            stages.append(Stage(base, alias[1] if alias else "", []))
        else:
            assert instruction.name in INSTRUCTIONS, f"unknown instruction: {line}"
            stages[-1].instructions.append(instruction)
    return stages


def read_environment(rest):
    """A dictionary of the pairs in ENV NAME=value ..."""
    return dict(word.split("=", 1) for word in shlex.split(rest))


def read_duration(text):
    """The seconds in a duration such as 30s or 1m30s."""
    parts = re.findall(r"(\d+)([hms])", text)
    assert "".join(number + unit for number, unit in parts) == text, text
    return sum(int(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in parts)


@dataclasses.dataclass
class HealthCheck:
    interval: int
    timeout: int
    retries: int
    words: list

    @classmethod
    def of(cls, instruction):
        assert set(instruction.flags) == {"interval", "timeout", "start-period", "retries"}, instruction
        kind, _, words = instruction.rest.partition(" ")
        assert kind == "CMD", instruction
        return cls(read_duration(instruction.flags["interval"]), read_duration(instruction.flags["timeout"]),
                   int(instruction.flags["retries"]), json.loads(words))
