import type { ReactNode } from 'react'

/** What went wrong; screen readers say it at once. */
export function Alert({ children }: { readonly children: ReactNode }) {
  return (
    <p className="error" role="alert">
      {children}
    </p>
  )
}
