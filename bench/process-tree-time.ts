import { execFileSync } from 'node:child_process'

/** Processor time, in whole seconds, that a process and all below it that are alive have used so far. Linux and macOS. */
export function processTreeSeconds(root = process.pid): number {
  const listing = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,cputimes='], { encoding: 'utf8' })
  const processes = listing
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
  const tree = new Set([root])
  for (const [pid = 0, parent = 0] of processes) if (tree.has(parent)) tree.add(pid)
  return processes.reduce((sum, [pid = 0, , seconds = 0]) => sum + (tree.has(pid) ? seconds : 0), 0)
}
