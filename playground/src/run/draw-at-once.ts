import { useEffect, useRef } from 'react'
import { useLocation, useNavigate } from 'react-router'

/** State of a way to an endpoint's page that has it draw what is entered as soon as it is there. */
export const DRAW_AT_ONCE = { drawsAtOnce: true } as const

/** Draws once where the way to this page asked for it; neither a reload nor the way back draws again. */
export function useDrawAtOnce(draw: () => void): void {
  const { state, pathname } = useLocation()
  const navigate = useNavigate()
  const latest = useRef(draw)
  latest.current = draw
  const isAsked = typeof state === 'object' && state !== null && 'drawsAtOnce' in state
  useEffect(() => {
    if (!isAsked) return
    void navigate(pathname, { replace: true, state: null })
    latest.current()
  }, [isAsked, pathname, navigate])
}
