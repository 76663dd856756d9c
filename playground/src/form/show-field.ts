import { idOf } from './field-props.ts'

/** Brings the field at a path of the input into view and gives it the focus; of one that is part of a union or list, what it lies in. */
export function showField(path: string): void {
  const parts = path.split('.')
  for (let length = parts.length; length > 0; length -= 1) {
    const at = parts.slice(0, length).join('.')
    const control = document.getElementById(idOf(at))
    const field = control ?? document.querySelector(`[data-path="${CSS.escape(at)}"]`)
    if (field === null) continue
    field.scrollIntoView({ block: 'center' })
    const focusable = control ?? field.querySelector<HTMLElement>('input, select, textarea, button')
    focusable?.focus({ preventScroll: true })
    return
  }
}
