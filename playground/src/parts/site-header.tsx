import { KeyRound, Moon, Sun, SunMoon } from 'lucide-react'
import { useEffect, useState } from 'react'
import { NavLink, useLocation } from 'react-router'
import { callServer, onKeyRefused, readKey } from '../api/connection.ts'
import { KeyDialog } from './key-dialog.tsx'
import { applyTheme, readTheme, THEMES, type Theme } from './theme.ts'

const PAGES = [
  ['/', 'Draw'],
  ['/realtime', 'Realtime'],
  ['/history', 'History'],
  ['/models', 'Models'],
  ['/server', 'Server'],
  ['/docs', 'Docs'],
] as const

const CHEAPEST_WITH_KEY = '/v1/storage/settings'

const THEME_ICONS = { system: SunMoon, dark: Moon, light: Sun }

export function SiteHeader() {
  const [asking, setAsking] = useState<'no' | 'refused' | 'wanted'>('no')
  useEffect(() => onKeyRefused(() => setAsking((now) => (now === 'no' ? 'refused' : now))), [])
  const hasKey = readKey() !== undefined
  // An endpoint's page is one of those that draw.
  const isDrawing = useLocation().pathname.startsWith('/models/')
  // Pages that ask for nothing that wants a key would not tell that this one is wrong.
  useEffect(() => {
    if (readKey() !== undefined) void callServer(CHEAPEST_WITH_KEY).catch(() => {})
  }, [])
  return (
    <header className="site-header">
      <NavLink to="/" className="brand" aria-label="Darkroom, start page">
        <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
          <circle cx="16" cy="16" r="11" fill="none" stroke="currentColor" strokeWidth="3.5" />
          <circle cx="16" cy="16" r="4.5" fill="currentColor" />
        </svg>
        <span>Darkroom</span>
      </NavLink>
      <nav aria-label="Pages">
        {PAGES.map(([path, name]) => (
          <NavLink
            key={path}
            to={path}
            end={path !== '/docs'}
            className={({ isActive }) => (isActive || (path === '/' && isDrawing) ? 'active' : '')}
          >
            {name}
          </NavLink>
        ))}
      </nav>
      <ThemeButton />
      <button
        type="button"
        className="icon-button"
        aria-label={hasKey ? 'Change the key' : 'Enter a key'}
        title={hasKey ? 'Change the key' : 'Enter a key'}
        onClick={() => setAsking('wanted')}
      >
        <KeyRound aria-hidden size={20} />
      </button>
      {asking === 'no' ? null : <KeyDialog wasRefused={asking === 'refused'} onClose={() => setAsking('no')} />}
    </header>
  )
}

function ThemeButton() {
  const [theme, setTheme] = useState<Theme>(readTheme)
  const Icon = THEME_ICONS[theme]
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'system'
  return (
    <button
      type="button"
      className="icon-button"
      aria-label={`Colours: ${theme}. Change to ${next}`}
      title={`Colours: ${theme}`}
      onClick={() => {
        applyTheme(next)
        setTheme(next)
      }}
    >
      <Icon aria-hidden size={20} />
    </button>
  )
}
