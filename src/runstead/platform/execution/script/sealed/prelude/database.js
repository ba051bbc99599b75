// Tables of the app: `database` by name and value, every call at once and answered by JSON text; `db` by SQL and promises.
(tools) => {
  const NAMES = [
    "createTable", "dropTable", "addIntegerColumn", "addTextColumn", "addBooleanColumn", "addTimestampColumn", "addReferenceColumn",
    "dropColumn", "query", "insert", "update", "delete", "upsert", "deleteWhere", "addUniqueIndex", "createLeaseTable", "acquireLease",
    "generateGraphQLForTable", "beginTransaction", "commitTransaction", "rollbackTransaction", "createSavepoint", "rollbackToSavepoint",
    "releaseSavepoint",
  ];
  // As JSON has it: a caller may hand over text that is JSON already, or the value itself.
  const plain = (value) => (value !== null && typeof value === "object" ? tools.stringify(value) : value ?? null);
  const call = (name) => (...values) => {
    try {
      return tools.stringify(tools.ask("database", name, values.map(plain)));
    } catch (error) {
      return tools.stringify({ error: error.message });
    }
  };
  const rows = (result) => result.rows;
  const statements = (number) => ({
    query: async (sql, params = []) => rows(await tools.later("sql", "query", String(sql), params, number)),
    execute: async (sql, params = []) => tools.later("sql", "execute", String(sql), params, number),
  });
  // Changes a row that still has the version that was read, and raises it; else both rows are told.
  const updateVersioned = (on) => async (table, row, changes) => {
    const result = await tools.later("sql.versioned", String(table), row, changes, on);
    if (result.current === undefined) return result.row;
    throw Object.assign(new Error("the row was changed meanwhile"), { name: "ConflictError", status: 409, yours: { ...row, ...changes }, current: result.current });
  };
  const db = {
    ...statements(0),
    updateVersioned: updateVersioned(0),
    transaction: async (work) => {
      const number = await tools.later("sql.begin");
      try {
        const result = await work(Object.freeze({ ...statements(number), updateVersioned: updateVersioned(number) }));
        await tools.later("sql.commit", number);
        return result;
      } catch (error) {
        await tools.later("sql.rollback", number);
        throw error;
      }
    },
    migrate: async (steps) => tools.later("sql.migrate", steps.map(String)),
  };
  return { database: Object.freeze(Object.fromEntries(NAMES.map((name) => [name, call(name)]))), db: Object.freeze(db) };
};
