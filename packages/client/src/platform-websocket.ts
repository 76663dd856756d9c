/** Browsers, Deno, Bun and Node from 22 on have a WebSocket of their own. */
export const fallbackWebSocket: unknown = undefined
