import { lockDataFolder } from '../../src/db/data-folder-lock.ts'

/** Holds a data folder until killed. */
const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('Usage: lock-holder.ts FOLDER')
lockDataFolder(folder)
process.send?.('locked')
setInterval(() => undefined, 1000)
