/**
 * Imported before Elysia, which looks once: outside of production it words each refused body by printing it
 * indented, and 62 KB of nested lists then held the process for twenty seconds. Our words are our own.
 */
Bun.env.NODE_ENV = "production";
