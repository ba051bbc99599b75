// Who asks. The server has decided it before the script began; nothing here can change it, and nothing here is what protects.
(tools) => {
  const { user } = tools;
  const { refused } = tools.load("refusal");
  const insist = (fits, status, message) => { if (!fits) throw refused(status, message, "AuthError"); return auth.currentUser(); };
  const auth = Object.freeze({
    isAuthenticated: user !== null,
    userId: user?.id ?? null,
    userEmail: user?.mail ?? null,
    userName: user?.name ?? null,
    provider: user?.provider ?? null,
    role: user?.role ?? null,
    isEditor: user?.isEditor ?? false,
    isAdmin: user?.isAdmin ?? false,
    groups: Object.freeze([...(user?.groups ?? [])]),
    currentUser: () => (user === null ? null : { ...user, groups: [...user.groups] }),
    requireAuth: () => insist(user !== null, 401, "sign in first"),
    requireEditor: () => insist(user?.isEditor, user === null ? 401 : 403, "this is for editors"),
    requireAdmin: () => insist(user?.isAdmin, user === null ? 401 : 403, "this is for administrators"),
    canManageScript: (id) => tools.ask("auth.canManage", String(id)),
  });
  return { auth };
};
