import { readFileSync } from 'node:fs'

/** Clock ticks a second of `/proc`, which is 100 on every Linux. */
const TICKS = 100

/** Resident memory of a process as Linux tells it; 0 where it does not. */
export function residentBytes(pid: number | undefined): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(read(pid, 'status'))?.[1]
  return Number(kilobytes ?? 0) * 1024
}

/** Processor seconds that a process has used since it began, all threads. */
export function processorSeconds(pid: number | undefined): number {
  // The name in brackets may hold anything; user and system time are the 12th and 13th field behind it.
  const fields = /^.*\) (.*)$/s.exec(read(pid, 'stat'))?.[1]?.split(' ') ?? []
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS
}

function read(pid: number | undefined, file: string): string {
  if (pid === undefined) return ''
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}
