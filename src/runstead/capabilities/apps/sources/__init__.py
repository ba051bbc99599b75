"""From what an author wrote to what the engine runs: TypeScript and JSX, modules, and the way back for stack traces."""

from runstead.capabilities.apps.sources.compiling import Compiled, Compiler, MissingTranspilerError
from runstead.capabilities.apps.sources.modules import MAIN_NAMES, MainName, is_module

__all__ = ["MAIN_NAMES", "Compiled", "Compiler", "MainName", "MissingTranspilerError", "is_module"]
