const UNITS = ['bytes', 'KB', 'MB', 'GB', 'TB'] as const

/** Bytes for people, in powers of 1000 as hubs give them: `1.72 GB`. */
export function sizeText(bytes: number): string {
  let value = bytes
  let unit = 0
  for (; value >= 999.5 && unit < UNITS.length - 1; unit++) value /= 1000
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2
  return `${value.toFixed(digits)} ${UNITS[unit]}`
}
