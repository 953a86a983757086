"""An extension of Griffe, the program that reads the package to build the site's API reference.

Griffe does not show the fields of a named tuple, or enumeration members without a docstring. It shows a default as the
name of a constant. This extension adds the fields and members, and shows the value of the constant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import griffe

if TYPE_CHECKING:
    from collections.abc import Iterator


class Values(griffe.Extension):
    """Adds the fields of named tuples, the members of enumerations and the values of defaults."""

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Add a signature to a named tuple, and a docstring to each member of an enumeration."""
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

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Replace each default that is the name of a constant with the value of the constant."""
        for function in functions(pkg):
            for parameter in function.parameters:
                if isinstance(parameter.default, griffe.ExprName):
                    parameter.default = value_of(parameter.default, pkg)


def functions(parent: griffe.Module | griffe.Class) -> Iterator[griffe.Function]:
    """Yield the functions of a module or class, and of the classes in it."""
    for member in parent.members.values():
        if isinstance(member, griffe.Function):
            yield member
        elif isinstance(member, (griffe.Module, griffe.Class)):
            yield from functions(member)


def value_of(name: griffe.ExprName, pkg: griffe.Module) -> str | griffe.Expr:
    """Return the value of the constant that a default names. Return the name itself if it is not a constant of this
    package.
    """
    path = name.canonical_path
    if not path.startswith(f"{pkg.path}."):
        return name
    try:
        constant = pkg[path.removeprefix(f"{pkg.path}.")]
    except KeyError:
        return name
    if constant.is_alias:
        constant = constant.final_target
    if not isinstance(constant, griffe.Attribute) or constant.value is None:
        return name
    return constant.value
