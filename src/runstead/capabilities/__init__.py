"""The five things that Runstead does; they never import one another."""
