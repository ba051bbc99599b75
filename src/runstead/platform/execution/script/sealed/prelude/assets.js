// Files of the app. What is put here at run time is a file like those that were uploaded.
(tools) => ({
  assetStorage: Object.freeze({
    listAssets: () => tools.ask("assets.list"),
    fetchAsset: (name) => tools.ask("assets.get", String(name)),
    upsertAsset: (name, mimetype, base64) => void tools.ask("assets.put", String(name), String(mimetype), String(base64)),
    deleteAsset: (name) => tools.ask("assets.remove", String(name)),
  }),
});
