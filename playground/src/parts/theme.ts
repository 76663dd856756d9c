const NAME = 'darkroom-theme'

export const THEMES = ['system', 'dark', 'light'] as const
export type Theme = (typeof THEMES)[number]

export function readTheme(): Theme {
  const stored = localStorage.getItem(NAME)
  return THEMES.find((theme) => theme === stored) ?? 'system'
}

/** Puts the person's choice on the document; the style sheet does the rest. */
export function applyTheme(theme: Theme = readTheme()): void {
  if (theme === 'system') {
    localStorage.removeItem(NAME)
    delete document.documentElement.dataset.theme
  } else {
    localStorage.setItem(NAME, theme)
    document.documentElement.dataset.theme = theme
  }
}
