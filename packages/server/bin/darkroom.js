#!/usr/bin/env node
// The sources are TypeScript and run as they are (docs/decisions/0006).
import { register } from 'tsx/esm/api'

register()
const { main } = await import('../src/cli.ts')
await main(process.argv)
