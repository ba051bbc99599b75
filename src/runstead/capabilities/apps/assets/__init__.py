"""Files of apps: those that came with a version, and those that an app keeps at run time."""

from runstead.capabilities.apps.assets.calls import AssetCalls
from runstead.capabilities.apps.assets.serving import serve_asset
from runstead.capabilities.apps.assets.store import Asset, AssetStore, asset_name

__all__ = ["Asset", "AssetCalls", "AssetStore", "asset_name", "serve_asset"]
