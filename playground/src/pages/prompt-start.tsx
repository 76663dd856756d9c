import { Wand2 } from 'lucide-react'
import { useEffect, useId, useState } from 'react'
import { useNavigate } from 'react-router'
import type { Endpoint } from '../api/catalogue.ts'
import { inputOf, storeInput } from '../inputs/input-store.ts'
import { DRAW_AT_ONCE } from '../run/draw-at-once.ts'

/** Words that the demo checkpoint knows as well. */
const EXAMPLES = ['a king with a golden crown', 'an island in the ocean at sunset', 'a lighthouse at night'] as const

interface PromptStartProps {
  /** What draws them; undefined as long as the server's endpoints are not known. */
  readonly endpoint: Endpoint | undefined
}

/** The shortest way to a picture: words, and it is drawn. */
export function PromptStart({ endpoint }: PromptStartProps) {
  const navigate = useNavigate()
  const [prompt, setPrompt] = useState('')
  const id = useId()
  const [chosen, setChosen] = useState<string>()
  // Words may be chosen before the endpoints are known: they wait, and the choice is not lost.
  useEffect(() => {
    if (chosen === undefined || endpoint === undefined) return
    storeInput(endpoint.id, { ...inputOf(endpoint), prompt: chosen })
    void navigate(`/models/${endpoint.id}`, { state: DRAW_AT_ONCE })
  }, [chosen, endpoint, navigate])
  return (
    <form
      className="prompt-start"
      onSubmit={(event) => {
        event.preventDefault()
        setChosen(prompt.trim() === '' ? EXAMPLES[0] : prompt)
      }}
    >
      <div className="prompt-box">
        <label className="visually-hidden" htmlFor={id}>
          What to draw
        </label>
        <input
          id={id}
          type="text"
          value={prompt}
          placeholder={EXAMPLES[0]}
          autoComplete="off"
          onChange={(event) => setPrompt(event.target.value)}
        />
        <button type="submit" className="button primary">
          <Wand2 aria-hidden size={18} /> Draw
        </button>
      </div>
      <p className="row wrap">
        <span className="hint">Try</span>
        {EXAMPLES.map((words) => (
          <button key={words} type="button" className="chip" onClick={() => setChosen(words)}>
            {words}
          </button>
        ))}
      </p>
    </form>
  )
}
