const MEBIBYTE = 1024 ** 2
const GIBIBYTE = 1024 ** 3

/** Bytes as a person reads them: `1.4 GiB`, `12 MiB`; less than one MiB in KiB. */
export function sizeText(bytes: number): string {
  if (bytes >= GIBIBYTE) return `${(bytes / GIBIBYTE).toFixed(1)} GiB`
  if (bytes >= MEBIBYTE) return `${Math.round(bytes / MEBIBYTE)} MiB`
  return `${Math.ceil(bytes / 1024)} KiB`
}
