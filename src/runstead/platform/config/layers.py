"""Laying the files, the environment and the flags over one another, and what can be seen to be wrong while doing so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from runstead.kernel.secret import Secret
from runstead.platform.config.diagnosis import diagnose
from runstead.platform.config.discovery import label_of
from runstead.platform.config.documents import Document, read_document
from runstead.platform.config.environment import (
    ADMIN_TOKEN,
    MASTER_KEY,
    MASTER_PASSWORD,
    OTHER_NAMES,
    PREFIX,
    TEST_PREFIX,
    Value,
    Variable,
    variables,
)
from runstead.platform.config.fieldtypes import found, from_text, has_url_password
from runstead.platform.config.keypath import KeyPath, dotted, parse_dotted
from runstead.platform.config.problems import ConfigError, Problem, suggest
from runstead.platform.config.rules import secret_fault
from runstead.platform.config.sections import SectionSpec
from runstead.platform.config.settings import PROFILES
from runstead.platform.config.tree import Origin, Tree

#: The key of the per-profile tables, and the one by which JSON and YAML name their schema to editors.
_PROFILE: Final = "profile"
_SCHEMA: Final = "$schema"

#: Secrets that people look for a field for.
_SECRET_NAMES: Final = {
    "master_password": MASTER_PASSWORD,
    "admin_token": ADMIN_TOKEN,
    "master_key": MASTER_KEY,
}


class Layers:
    """Collects the layers into one tree. ``strict`` tells of names that nobody knows, too."""

    def __init__(self, specs: Mapping[str, SectionSpec], *, strict: bool) -> None:
        self.problems: list[Problem] = []
        #: Section → name → secret.
        self.secrets: dict[str, dict[str, Secret]] = {}
        self.tree = Tree(arrays=[name for name, spec in specs.items() if spec.is_list])
        self._specs = specs
        self._strict = strict
        self._variables = variables(specs)
        self._secret_names = {
            variable.path: name for name, variable in self._variables.items() if variable.secret
        }

    def lay_file(self, path: Path, *, cwd: Path, profile: str) -> None:
        """Lay a file, and the tables that it has for the profile."""
        try:
            document = read_document(path, label_of(path, cwd))
        except ConfigError as error:
            self.problems.extend(error.problems)
            return
        root = Origin(document.label, document=document)
        self.tree.origins.setdefault((), root)
        self._refuse_url_passwords(document.data, (), root)
        self._lay_document(document, root, profile)

    def _lay_document(self, document: Document, root: Origin, profile: str) -> None:
        profiles = document.data.get(_PROFILE)
        for key, value in document.data.items():
            if key not in (_PROFILE, _SCHEMA):
                self._lay_section(key, value, root.child(key))
        if profiles is None:
            return
        if not isinstance(profiles, dict):
            self._blame(root.child(_PROFILE), (_PROFILE,), "found no table, allowed: [profile.<name>] tables")
            return
        for name, table in profiles.items():
            self._lay_profile(name, table, root.child(_PROFILE).child(name), active=name == profile)

    def _lay_section(self, name: str, value: Any, origin: Origin) -> None:
        if name in self._specs:
            if value is not None:  # YAML's way to write an empty table.
                self._take_secrets_out(value, (name,), origin)
                self.tree.lay((name,), value, origin)
        elif self._strict:
            self._blame(origin, (name,), self._unknown_section(name))

    def _lay_profile(self, name: str, table: Any, origin: Origin, *, active: bool) -> None:
        at: KeyPath = (_PROFILE, name)
        if name not in PROFILES:
            self._blame(
                origin, at, f"unknown profile; allowed: {', '.join(PROFILES)}{suggest(name, PROFILES)}"
            )
        elif not isinstance(table, dict):
            self._blame(origin, at, f"found {found(table)}, allowed: a table of sections")
        else:
            for section, value in table.items():
                inside = origin.child(section)
                if active or section not in self._specs:
                    self._lay_section(section, value, inside)
                elif self._strict:
                    self._check_idle(section, value, inside, (*at, section))

    def _check_idle(self, section: str, value: Any, origin: Origin, at: KeyPath) -> None:
        """Judge a table of a profile that is not the chosen one, so that it is sound on the day that it is."""
        self._take_secrets_out(value, (section,), origin, prefix=at[:-1])
        for finding in diagnose(self._specs[section].type, value, partial=True):
            place = origin
            for step in finding.at:
                place = place.child(step)
            self._blame(place, (*at, *finding.path), finding.message)

    def lay_environment(self, environment: Mapping[str, Value]) -> None:
        """Lay the variables that stand for fields, and keep those that are secrets."""
        # A variable of the process wins over any of .env, whichever of its names is used.
        for of_process in (False, True):
            for name, variable in self._variables.items():
                value = environment.get(name)
                if value is not None and (value.origin.line == 0) is of_process:
                    self._lay_variable(variable, value)
        if not self._strict:
            return
        known = {*self._variables, *OTHER_NAMES}
        for name, value in environment.items():
            if name.startswith(PREFIX) and not name.startswith(TEST_PREFIX) and name not in known:
                self._blame(value.origin, (name,), f"unknown variable{suggest(name, known)}")

    def _lay_variable(self, variable: Variable, value: Value) -> None:
        if not variable.secret:
            self.tree.lay(variable.path, from_text(value.text, variable.type), value.origin)
            return
        secret = Secret(value.text)
        if (fault := secret_fault(secret)) is not None:
            self._blame(value.origin, variable.path, fault)
            return
        section, *rest = variable.path
        self.secrets.setdefault(str(section), {})[dotted(tuple(rest))] = secret
        if variable.type is not None:
            self.tree.lay(variable.path, secret, value.origin)

    def lay_overrides(self, overrides: Mapping[str, str]) -> None:
        """Lay what flags say, by dotted field."""
        by_path = {variable.path: variable for variable in self._variables.values() if not variable.secret}
        for name, text in overrides.items():
            path = parse_dotted(name)
            variable = by_path.get(path)
            if variable is None:
                hint = suggest(name, map(dotted, by_path))
                self._blame(Origin("flag"), path, f"unknown field{hint}")
            else:
                self.tree.lay(path, from_text(text, variable.type), Origin("flag"))

    def _take_secrets_out(self, value: Any, path: KeyPath, origin: Origin, prefix: KeyPath = ()) -> None:
        """Refuse secrets of the section, and remove them, so that they are not refused once more as unknown."""
        if not isinstance(value, dict):
            return
        for key in list(value):
            at = (*path, key)
            name = self._secret_names.get(at) or _SECRET_NAMES.get(str(key))
            if name is None:
                self._take_secrets_out(value[key], at, origin.child(key), prefix)
            else:
                del value[key]
                self._blame(
                    origin.child(key),
                    (*prefix, *at),
                    f"a secret does not belong in a file; set {name} in the environment or .env",
                )

    def _refuse_url_passwords(self, value: Any, path: KeyPath, origin: Origin) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                self._refuse_url_passwords(inner, (*path, key), origin.child(key))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self._refuse_url_passwords(item, (*path, index), origin.child(index))
        elif isinstance(value, str) and has_url_password(value) and self._strict:
            names = {variable.path: name for name, variable in self._variables.items()}
            where = f"set {names[path]}" if path in names else "set it"
            self._blame(
                origin,
                path,
                f"a URL with a password does not belong in a file; {where} in the environment or .env",
            )

    def _unknown_section(self, name: str) -> str:
        if name in _SECRET_NAMES:
            return f"a secret does not belong in a file; set {_SECRET_NAMES[name]} in the environment or .env"
        homes = [
            section
            for section, spec in self._specs.items()
            if not spec.is_list and name in spec.struct.__struct_fields__
        ]
        if homes:
            return f"unknown section; {name!r} is a field of [{'] and ['.join(homes)}]"
        return f"unknown section{suggest(name, self._specs) or '; allowed: ' + ', '.join(self._specs)}"

    def _blame(self, origin: Origin, path: KeyPath, message: str) -> None:
        file, line, column = origin.place()
        self.problems.append(
            Problem(file=file, line=line, column=column, field=dotted(path), message=message)
        )
