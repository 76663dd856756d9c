import cliProgress from 'cli-progress'
import { durationText, progressText } from '../../models/progress-log.ts'
import { sizeText } from '../../models/size-text.ts'

/** Progress of several downloads on standard error. */
export interface DownloadBars {
  /** @param key names the download; @param label is shown */
  update(key: string, label: string, doneBytes: number, totalBytes: number | undefined): void
  stop(): void
}

const LINE_MILLISECONDS = 5000
const LABEL_WIDTH = 36

/** Bars with rate and time left on a terminal; elsewhere a line every five seconds. */
export function downloadBars(): DownloadBars {
  return process.stderr.isTTY ? bars() : lines()
}

interface Measured {
  readonly firstBytes: number
  readonly startedAt: number
}

/** What an earlier try left behind counts for nothing in the rate. */
function rateOf({ firstBytes, startedAt }: Measured, doneBytes: number): number {
  return (doneBytes - firstBytes) / Math.max(0.001, (performance.now() - startedAt) / 1000)
}

function bars(): DownloadBars {
  const multi = new cliProgress.MultiBar({
    format: '{label} {bar} {percentage} % | {done} of {size} | {rate}/s | {left}',
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: false,
    barsize: 24,
  })
  const shown = new Map<string, Measured & { readonly bar: cliProgress.SingleBar }>()
  return {
    update(key, label, doneBytes, totalBytes) {
      const total = totalBytes ?? doneBytes
      const name = label.length > LABEL_WIDTH ? `…${label.slice(1 - LABEL_WIDTH)}` : label.padEnd(LABEL_WIDTH)
      const known = shown.get(key) ?? {
        bar: multi.create(total, doneBytes, { label: name, done: '', size: '', rate: '', left: '' }),
        firstBytes: doneBytes,
        startedAt: performance.now(),
      }
      shown.set(key, known)
      const rate = rateOf(known, doneBytes)
      known.bar.setTotal(total)
      known.bar.update(doneBytes, {
        label: name,
        done: sizeText(doneBytes),
        size: totalBytes === undefined ? '?' : sizeText(totalBytes),
        rate: sizeText(rate),
        left: totalBytes === undefined || rate <= 0 ? '' : `${durationText((totalBytes - doneBytes) / rate)} left`,
      })
    },
    stop: () => multi.stop(),
  }
}

function lines(): DownloadBars {
  const shown = new Map<string, Measured & { printedAt: number }>()
  return {
    update(key, label, doneBytes, totalBytes) {
      const now = performance.now()
      const known = shown.get(key) ?? { firstBytes: doneBytes, startedAt: now, printedAt: now }
      shown.set(key, known)
      if (now - known.printedAt < LINE_MILLISECONDS && doneBytes !== totalBytes) return
      known.printedAt = now
      console.error(`${label}: ${progressText(doneBytes, totalBytes, rateOf(known, doneBytes))}`)
    },
    stop() {},
  }
}
