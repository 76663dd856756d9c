// Node 20 runs no TypeScript, and tsx's --import hook does not reach the entry of a worker thread: register it here first.
import { register } from 'tsx/esm/api'

register()
await import('./input-worker.ts')
