import { Check, Copy } from 'lucide-react'
import { useState } from 'react'

const SHOWN_MILLISECONDS = 1500

/** Puts a text on the clipboard and says so. */
export function CopyButton({ text, label }: { readonly text: string; readonly label: string }) {
  const [isDone, setDone] = useState(false)
  const copy = async () => {
    await navigator.clipboard.writeText(text)
    setDone(true)
    setTimeout(() => setDone(false), SHOWN_MILLISECONDS)
  }
  const Icon = isDone ? Check : Copy
  return (
    <button type="button" className="button small" onClick={() => void copy().catch(() => {})}>
      <Icon aria-hidden size={16} /> {isDone ? 'Copied' : label}
    </button>
  )
}
