"""An extension of Griffe, which reads the package for the reference.

Griffe shows the fields of a dataclass as parameters. It shows neither the fields of a named tuple nor the members of an
enumeration that have no docstring. This extension adds both.
"""

from __future__ import annotations

from typing import Any

import griffe


class Values(griffe.Extension):
    """Adds the fields of named tuples and the members of enumerations."""

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Give a named tuple a signature, and each member of an enumeration a docstring."""
        bases = {str(base).rsplit(".", 1)[-1] for base in cls.bases}
        fields = [member for member in cls.members.values() if isinstance(member, griffe.Attribute)]
        if "NamedTuple" in bases:
            kind = griffe.ParameterKind.positional_or_keyword
            parameters = [
                griffe.Parameter(field.name, annotation=field.annotation, kind=kind, default=field.value)
                for field in fields
                if field.annotation is not None
            ]
            cls.set_member("__init__", griffe.Function("__init__", parameters=griffe.Parameters(*parameters)))
        if bases & {"Enum", "IntEnum", "StrEnum"}:
            for field in fields:
                if field.docstring is None and not field.name.startswith("_"):
                    field.docstring = griffe.Docstring(f"Its value is `{field.value}`.", parent=field)
